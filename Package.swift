// swift-tools-version: 6.1
import PackageDescription

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

/// A module of ours under `Sources`, or at `path`; the `embedded` files are part of its code.
func module(
    _ name: String, _ dependencies: [Target.Dependency] = [], path: String? = nil, exclude: [String] = [], embedded: [String] = []
) -> Target {
    .target(
        name: name, dependencies: dependencies, path: path, exclude: exclude, resources: embedded.map { .embedInCode($0) },
        swiftSettings: settings)
}

/// A command-line tool under `Sources`.
func tool(_ name: String, _ dependencies: [Target.Dependency], embedded: [String] = []) -> Target {
    .executableTarget(
        name: name, dependencies: dependencies + [argumentParser], resources: embedded.map { .embedInCode($0) }, swiftSettings: settings)
}

/// The tests of one module under `Tests`; those that compute little themselves are not optimized, which would take longer than running them.
func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = [], isOptimized: Bool = true) -> Target {
    .testTarget(
        name: "\(name)Tests", dependencies: dependencies, exclude: exclude,
        swiftSettings: isOptimized ? settings : settings + [.unsafeFlags(["-Onone"])])
}

/// A C library of the system.
func library(_ name: String, pkgConfig: String? = nil, apt: String) -> Target {
    .systemLibrary(name: name, pkgConfig: pkgConfig, providers: [.apt([apt])])
}

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let asyncHTTPClient = Target.Dependency.product(name: "AsyncHTTPClient", package: "async-http-client")
let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
let hummingbirdTLS = Target.Dependency.product(name: "HummingbirdTLS", package: "hummingbird")
let hummingbirdCore = Target.Dependency.product(name: "HummingbirdCore", package: "hummingbird")
let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioEmbedded = Target.Dependency.product(name: "NIOEmbedded", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let nioTLS = Target.Dependency.product(name: "NIOTLS", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let unixSignals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")

let package = Package(
    name: "vlm",
    products: [
        .library(name: "VLMRuntime", targets: ["VLMRuntime"]),
        .executable(name: "vlmc", targets: ["vlmc"]),
        .executable(name: "vlm-serve", targets: ["vlm-serve"]),
        .executable(name: "vlm-cache", targets: ["vlm-cache"]),
        .executable(name: "vlm-video-frames", targets: ["vlm-video-frames"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.0.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.3.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.80.0"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.30.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.30.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.0.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.6.0"),
    ],
    targets: [
        library("CFFmpeg", pkgConfig: "libavformat", apt: "libavformat-dev"),
        library("CGIF", pkgConfig: "libgif", apt: "libgif-dev"),
        library("CJPEG", pkgConfig: "libjpeg", apt: "libjpeg-dev"),
        library("CPCRE2", pkgConfig: "libpcre2-8", apt: "libpcre2-dev"),
        library("CPNG", pkgConfig: "libpng", apt: "libpng-dev"),
        library("CUTF8Proc", apt: "libutf8proc-dev"),
        library("CWebP", pkgConfig: "libwebp", apt: "libwebp-dev"),
        library("CYAML", pkgConfig: "yaml-0.1", apt: "libyaml-dev"),
        library("CZstd", pkgConfig: "libzstd", apt: "libzstd-dev"),
        .target(name: "CImage", dependencies: ["CGIF", "CJPEG", "CPNG", "CWebP"]),
        .target(name: "CHeap"),
        .target(name: "CKernels"),
        .target(name: "COpenBLAS", dependencies: ["CKernels"]),

        module("Budgets"),
        module("HostLimits"),
        module("JSON"),
        module("Texts"),
        module("ChatTemplates", ["Budgets", "JSON", "Texts"]),
        module("Tensors"),
        module("Safetensors", ["JSON", "Tensors"]),
        module("Plan", ["Tensors"]),
        module("IR", ["Plan", "Tensors"]),
        module("Reference", ["IR", "Tensors", "COpenBLAS"]),
        module("HuggingFace", ["HostLimits", "JSON", "Safetensors", "Tensors", crypto]),
        module("Models", ["HuggingFace", "IR", "JSON", "Plan", "Tensors"]),
        module("Passes", ["IR", "Plan", "Reference", "Tensors"], path: "Passes", exclude: ["Fixtures"]),
        module("ArtifactFormat", ["Plan", "Tensors", "CZstd", crypto], path: "Artifacts/Format"),
        module("Inputs", ["Budgets", "JSON", "Plan", "Texts", "CImage", "CPCRE2", "CUTF8Proc"]),
        module(
            "Compiler",
            ["Budgets", "ChatTemplates", "HuggingFace", "JSON", "Models", "Passes", "IR", "Plan", "ArtifactFormat", "CKernels", "COpenBLAS", "GuidedDecoding", "HostLimits", "Reference", "Inputs", "Tensors", crypto]),
        module("Execution", ["Plan", "ArtifactFormat", "Tensors"]),
        module("GuidedDecoding", ["JSON"]),
        module("CPUBackend", ["Execution", "ArtifactFormat", "HostLimits", "Plan", "Tensors", "CKernels", "COpenBLAS"]),
        module("Serving", ["Budgets", "CKernels", "Execution", "GuidedDecoding", "Inputs", "JSON", "Plan", crypto]),
        .target(name: "CFrameProcess"),
        module("VideoDecoding", ["Budgets", "CFrameProcess", "Inputs"]),
        .executableTarget(
            name: "vlm-video-frames", dependencies: ["CFFmpeg"],
            linkerSettings: ["avformat", "avcodec", "swscale", "avutil"].map { .linkedLibrary($0) }),
        module(
            "ModelRuntime",
            ["ArtifactFormat", "ChatTemplates", "Execution", "HostLimits", "HuggingFace", "Inputs", "JSON", "Plan", "Serving", "Tensors"]),
        module(
            "VLMRuntime", ["ArtifactFormat", "Budgets", "CPUBackend", "Inputs", "JSON", "ModelRuntime", "Plan", "Serving", "VideoDecoding"]),
        module("MediaFetching", [asyncHTTPClient, nioCore, nioHTTP1, nioPosix, nioSSL]),
        module(
            "HTTPAPI", ["Budgets", "CHeap", "GuidedDecoding", "MediaFetching", "Safetensors", "Serving", "Inputs", "JSON", "Plan", crypto, hummingbird, hummingbirdCore, hummingbirdTLS, httpTypes, lifecycle, logging, nioCore, nioHTTP1, nioSSL],
            embedded: ["html", "css", "js"].map { "Playground/playground.\($0)" } + ["docs.css", "fields.json", "schemas.json", "special-fields.json"].map { "OpenAPI/\($0)" }),

        module("CommandLineSupport", ["ArtifactFormat", argumentParser]),
        module("ForeignFlags", ["CYAML", "JSON"]),
        tool(
            "vlmc",
            ["CommandLineSupport", "Budgets", "ChatTemplates", "Compiler", "CPUBackend", "HostLimits", "HuggingFace", "ModelRuntime", "Passes", "IR", "Inputs", "JSON", "Plan", "ArtifactFormat", "Serving", "Tensors", "VideoDecoding", "VLMRuntime"],
            embedded: ["bench.html"]),
        tool(
            "vlm-serve",
            ["CHeap", "CommandLineSupport", "ForeignFlags", "HostLimits", "HTTPAPI", "Inputs", "JSON", "MediaFetching", "ModelRuntime", "Serving", "CPUBackend", "Plan", "ArtifactFormat", "VideoDecoding", lifecycle, logging, unixSignals]),
        tool("vlm-cache", ["CommandLineSupport", "ArtifactFormat", "CPUBackend", "ModelRuntime", "Plan"]),

        .executableTarget(name: "library-example", dependencies: ["VLMRuntime"], path: "Tests/Examples/Library", swiftSettings: settings),
        .executableTarget(name: "kernel-bench", dependencies: ["CKernels", "COpenBLAS"], path: "Tests/Benchmarks/Kernels"),
        .executableTarget(
            name: "guide-bench", dependencies: ["GuidedDecoding", "JSON", "Seeded", "ThreadTime"], path: "Tests/Benchmarks/Guides",
            swiftSettings: settings),
        .target(
            name: "ArtifactSamples", dependencies: ["ArtifactFormat", "Plan", "Tensors"],
            path: "Tests/Support/ArtifactSamples", swiftSettings: settings),
        tests("ArtifactFormat", ["ArtifactFormat", "ArtifactSamples", "Plan", "Tensors", "ThreadTime"]),
        tests("CKernels", ["CKernels", "COpenBLAS", "Seeded"]),
        // Beside SwiftNIO, which C module has the members of a socket's address depends on the order of imports.
        .target(name: "TestClient", dependencies: ["JSON", nioCore, nioEmbedded, nioSSL, nioTLS], path: "Tests/Support/TestClient", swiftSettings: settings.dropLast()),
        .target(name: "Gates", path: "Tests/Support/Gates", swiftSettings: settings),
        .target(name: "ThreadTime", path: "Tests/Support/ThreadTime", swiftSettings: settings),
        .target(name: "Seeded", path: "Tests/Support/Seeded", swiftSettings: settings),
        .target(name: "AllocationCounter", path: "Tests/Support/AllocationCounter"),
        .target(name: "OneProcessor", path: "Tests/Support/OneProcessor"),
        tests("CPUBackend", ["AllocationCounter", "ArtifactFormat", "ArtifactSamples", "CPUBackend", "Compiler", "Execution", "HuggingFace", "IR", "ModelRuntime", "OneProcessor", "Passes", "Plan", "Reference", "Seeded", "Serving", "Tensors"]),
        tests("ChatTemplates", ["Budgets", "ChatTemplates", "JSON", "Seeded"], exclude: ["Fixtures"]),
        tests("CacheTool", ["vlm-cache", "ArtifactFormat", "ArtifactSamples"]),
        tests("EndToEnd", ["vlmc", "vlm-serve", "vlm-cache", "vlm-video-frames", "library-example", "CommandLineSupport", "ForeignFlags", "JSON", "LoopbackSite", "Models", "TestClient", "VLMRuntime"], exclude: ["Fixtures"], isOptimized: false),
        tests("CommandLineSupport", ["CommandLineSupport"]),
        tests("ForeignFlags", ["ForeignFlags"]),
        tests("GuidedDecoding", ["GuidedDecoding", "JSON", "Seeded", "ThreadTime"]),
        .target(name: "LoopbackSite", path: "Tests/Support/LoopbackSite", swiftSettings: settings),
        tests("HTTPAPI", ["Budgets", "GuidedDecoding", "HTTPAPI", "LoopbackSite", "MediaFetching", "Serving", "Execution", "Gates", "Inputs", "JSON", "Plan", "Seeded", "Tensors", "TestClient"], isOptimized: false),
        tests("MediaFetching", ["LoopbackSite", "MediaFetching", "TestClient", nioCore, nioPosix, nioSSL]),
        tests("HostLimits", ["HostLimits"]),
        tests("HuggingFace", ["HuggingFace", "JSON", "Tensors"]),
        tests("IR", ["IR", "Plan", "Seeded", "Tensors"], exclude: ["Fixtures"]),
        tests("Inputs", ["Budgets", "ChatTemplates", "HuggingFace", "Inputs", "JSON", "Models", "Plan", "Seeded", "ThreadTime"], exclude: ["Fixtures"]),
        tests("JSON", ["JSON", "Seeded"]),
        tests(
            "Models",
            ["ArtifactFormat", "Budgets", "ChatTemplates", "CPUBackend", "Compiler", "HuggingFace", "IR", "Inputs", "JSON", "ModelRuntime", "Models", "Plan", "Reference", "Tensors", crypto]),
        tests("Passes", ["HuggingFace", "IR", "JSON", "Models", "Passes", "Plan", "Reference", "Seeded", "Tensors"]),
        tests("Reference", ["IR", "Reference", "Tensors"]),
        .target(
            name: "FuzzTargets",
            dependencies: [
                "ArtifactFormat", "ArtifactSamples", "Budgets", "ChatTemplates", "Compiler", "CPUBackend", "Execution", "GuidedDecoding", "HTTPAPI",
                "HuggingFace", "Inputs", "JSON", "ModelRuntime", "Plan", "Seeded", "Serving", "Tensors", "VideoDecoding",
            ],
            path: "Tests/Fuzz/Targets", swiftSettings: settings),
        .executableTarget(name: "fuzz-targets", dependencies: ["FuzzTargets"], path: "Tests/Fuzz/Driver", swiftSettings: settings),
        tests("Fuzz", ["FuzzTargets", "vlm-video-frames"]),
        tests("Serving", ["AllocationCounter", "Budgets", "CKernels", "Serving", "Execution", "Gates", "GuidedDecoding", "JSON", "Inputs", "Plan", "Seeded", "Tensors"]),
        tests("Tidy", []),
        tests("VideoDecoding", ["Budgets", "Inputs", "VideoDecoding"]),
    ]
)
