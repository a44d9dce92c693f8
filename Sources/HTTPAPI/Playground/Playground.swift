/// The page at `/` to try the model with.
enum Playground {
    static var page: StaticPage {
        let style = "\n" + String(decoding: PackageResources.playground_css, as: UTF8.self)
        let script = "\n" + String(decoding: PackageResources.playground_js, as: UTF8.self)
        let text = String(decoding: PackageResources.playground_html, as: UTF8.self)
            .replacing(#"<link rel="stylesheet" href="playground.css">"#, with: "<style>\(style)</style>")
            .replacing(#"<script src="playground.js"></script>"#, with: "<script>\(script)</script>")
        return StaticPage(text, style: style, script: script)
    }
}
