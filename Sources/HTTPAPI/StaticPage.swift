internal import Crypto
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdCore
internal import NIOCore

/// A page of the program: one document, without anything that lies elsewhere.
struct StaticPage: Sendable {
    private let page: ByteBuffer
    private let headers: HTTPFields

    /// - Parameters:
    ///   - style: what stands between the tags of the page's style.
    ///   - script: what stands between those of its script; nil for a page without one.
    init(_ text: String, style: String, script: String?) {
        page = ByteBuffer(string: text)
        var headers: HTTPFields = [
            .contentType: "text/html; charset=utf-8", .cacheControl: "no-cache", .eTag: "\"\(Self.digest(text))\"",
            .contentSecurityPolicy: Self.policy(style: style, script: script), .xContentTypeOptions: "nosniff",
        ]
        if let name = HTTPField.Name("Referrer-Policy") { headers[name] = "no-referrer" }
        self.headers = headers
    }

    /// The page, or that the one which the client holds is still right.
    func response(to request: Request) -> Response {
        guard !isHeld(by: request) else { return Response(status: .notModified, headers: headers) }
        return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: page))
    }

    private func isHeld(by request: Request) -> Bool {
        guard let held = request.headers[.ifNoneMatch], let tag = headers[.eTag] else { return false }
        return held.split(separator: ",").contains { name in
            let name = name.trimmingCharacters(in: .whitespaces)
            // A proxy that compresses makes the tag a weak one.
            return name == "*" || name == tag || name == "W/" + tag
        }
    }

    /// Only this style and this script, pictures that are part of the page, requests to this server; no text becomes markup or code.
    private static func policy(style: String, script: String?) -> String {
        let scripted = script.map { ["script-src 'sha256-\(digest($0))'", "img-src data:", "connect-src 'self'"] } ?? []
        return (["default-src 'none'", "style-src 'sha256-\(digest(style))'"] + scripted + [
            "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'",
        ]).joined(separator: "; ")
    }

    private static func digest(_ text: String) -> String { Data(SHA256.hash(data: Data(text.utf8))).base64EncodedString() }
}
