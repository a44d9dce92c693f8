internal import Budgets
internal import ChatTemplates
internal import HuggingFace
internal import Inputs
internal import JSON
internal import Plan

extension InputSpec {
    /// The same with what was found when the template was shown a video; a template that cannot be read tells nothing of videos.
    func tried(with template: FoundTemplate?) -> InputSpec {
        guard let marker = video?.frames.prompt.marker, let template, let parsed = try? ChatTemplate(source: template.source) else { return self }
        let budget = WorkBudget(cpuLimit: .seconds(10))
        func render(_ messages: JSONValue) throws(ChatTemplateError) -> String {
            try parsed.render(templateContext(messages: messages), budget: budget)
        }
        var spec = self
        let forms = MessageForms { try render($0) }
        let messages = forms.adapted([["role": "user", "content": [["type": "video"], ["type": "text", "text": "a"]]]], image?.prompt)
        do throws(ChatTemplateError) {
            let text = try render(messages)
            if !text.contains(marker) { spec.videoRefusal = "\(template.file) writes no \(marker) for a part of type video" }
        } catch {
            spec.videoRefusal = "\(template.file) refuses a part of type video: \(error)"
        }
        return spec
    }
}
