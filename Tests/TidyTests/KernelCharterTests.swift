import Testing

/// The charter of `Sources/CKernels`: no allocation, no libc, no globals, no threads, no environment.
@Suite struct KernelCharterTests {
    private static let headers: Set<Substring> = ["arm_neon.h", "cpuid.h", "immintrin.h", "stdbool.h", "stddef.h", "stdint.h"]

    @Test func kernelsKeepTheCharter() {
        let files = Repository.files.filter { $0.module == "CKernels" && !$0.code.isEmpty }
        #expect(!files.isEmpty)
        let violations = files.flatMap(Self.violations)
        #expect(violations.isEmpty, "\(violations.report)")
    }

    @Test(arguments: [
        "  float *a = malloc(4);", "#include <stdio.h>", "  memcpy(a, b, 4);", "static int calls;", "int table[4] = {0};",
        "  pthread_create(&t, 0, f, 0);", "  static int last = 0;",
    ])
    func breachesAreFound(line: String) {
        #expect(Self.violations(SourceFile(path: "Sources/CKernels/a.c", text: line)).map(\.line) == [1])
    }

    @Test(arguments: [
        "  __builtin_memcpy(a, b, 4);", "#include <stdint.h>", "static const float coefficients[2] = {1, 2};",
        "static float f(float x);", "static inline int g(void) { return 1; }", "typedef struct { int64_t free; } t;",
    ])
    func honestLinesPass(line: String) {
        #expect(Self.violations(SourceFile(path: "Sources/CKernels/a.c", text: line)).isEmpty)
    }

    private static let library: Set<Substring> = [
        "malloc", "calloc", "realloc", "aligned_alloc", "free", "memcpy", "memset", "memmove", "memcmp", "strlen", "strcmp", "strcpy",
        "printf", "fprintf", "snprintf", "puts", "getenv", "abort", "exit", "assert", "mmap", "syscall", "exp", "log", "sqrt", "cos",
        "sin", "tanh", "erf", "pow", "floor", "ceil", "fabs", "lrint", "nearbyint",
    ]

    /// Whether a called name is the C library's, f32 functions and threads included.
    private static func isLibrary(_ name: Substring) -> Bool {
        library.contains(name) || name.hasSuffix("f") && library.contains(name.dropLast()) || name.hasPrefix("pthread_")
    }

    private static func violations(_ file: SourceFile) -> [Violation] {
        let called = file.code.indices.filter { line in
            file.code[line].holds("(") && file.code[line].matches(of: /[\w.]+(?=\s*\()/).contains { isLibrary($0.0) }
        }
        let included = file.lines.indices.filter { line in
            guard let header = file.lines[line].firstMatch(of: /^\s*#\s*include\s*<([^>]+)>/)?.1 else { return false }
            return !headers.contains(header)
        }
        return called.map { file.violation($0, "calls the C library; kernels call nothing outside") }
            + included.map { file.violation($0, "includes a header that kernels must not need") } + variables(file)
    }

    /// Variables that outlive a call: `static` or at file level, and not `const`.
    private static func variables(_ file: SourceFile) -> [Violation] {
        var depth = 0
        var found: [Violation] = []
        for (line, text) in file.code.enumerated() where !text.hasPrefix("#") {
            let isStatic = text.contains(/^\s*static\s+(?!const\b|inline\b|_Noreturn\b)/) && !text.contains(/\bconst\b/)
            let isGlobal = depth == 0 && text.contains(/^[a-z]\w*(?:\s+\w+)*\s+\*?\w+(?:\[[^\]]*\])?\s*(?:=|;)/)
            let isType = text.contains(/^(?:typedef|enum|struct|union|extern|return)\b/) || text.contains(/\bconst\b/)
            let isFunction = text.contains("(")
            if !isFunction && !isType && (isStatic || isGlobal) {
                found.append(file.violation(line, "a variable that outlives the call; pass state in"))
            }
            depth += text.filter { $0 == "{" }.count - text.filter { $0 == "}" }.count
        }
        return found
    }
}
