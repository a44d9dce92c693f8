import ArgumentParser
import Budgets
import ChatTemplates
import CommandLineSupport
import Foundation
import Inputs
import JSON

struct Render: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Render a chat template; prints exactly the rendered text.",
        discussion: """
            The context is a JSON object with what the template may see: messages, tools, add_generation_prompt, bos_token \
            and so on. Nothing is added to it.
            """)

    @Argument(help: "A template file, a model directory, or an artifact: its directory, the beginning of its key, or its model's name.")
    var source: String

    @OptionGroup var store: StoreOption

    @Option(help: "JSON file with the context.")
    var context: String

    func run() throws {
        let template = try Sources.template(try store.source(source))
        guard let values = try Sources.json(context).objectValue else { throw Failure("\(context) is no JSON object") }
        let text = try Failure.wrapping { () throws(ChatTemplateError) in try template.render(values, budget: .generous()) }
        try StandardOutput.write(text)
    }
}
