package import HuggingFace
import IR
package import Tensors

/// What a trace needs of a checkpoint: the type of every tensor, where it is, for messages, and what lists of groups hold.
package struct CheckpointTypes: Sendable {
    /// What messages call the checkpoint.
    package var location: String
    /// By the tensor's name in the checkpoint.
    package var types: [String: TensorType]
    /// Files by tensors that should be in them and are not, by the tensor's name in the checkpoint.
    package var absent: [String: String]
    /// By the tensor's name in the checkpoint; a list that is not here may hold anything.
    package var groups: [String: GroupList]

    package init(location: String, types: [String: TensorType], absent: [String: String] = [:], groups: [String: GroupList] = [:]) {
        self.location = location
        self.types = types
        self.absent = absent
        self.groups = groups
    }

    package init(_ checkpoint: Checkpoint) {
        self.init(
            location: checkpoint.directory, types: checkpoint.types, absent: checkpoint.absent, groups: GroupList.lists(of: checkpoint))
    }
}

/// The tensors of a checkpoint under one spelling of their names, whatever generation of transformers wrote them.
struct WeightCatalog {
    let location: String
    /// By canonical name.
    let declarations: [String: WeightDecl]
    /// Where tensors should be that are not there, by canonical name.
    let absent: [String: String]
    /// What lists of groups hold, by canonical name.
    let groups: [String: GroupList]

    /// Renames by the first rewrite that fits; throws when two tensors get the same name.
    init(_ checkpoint: CheckpointTypes, rewrites: [NameRewrite]) throws(CheckpointError) {
        func canonical(_ source: String) -> String {
            rewrites.lazy.compactMap { $0.canonical(source) }.first ?? source
        }
        var declarations: [String: WeightDecl] = [:]
        for (source, type) in checkpoint.types {
            let name = canonical(source)
            if let other = declarations.updateValue(WeightDecl(name, type, source: source), forKey: name) {
                let names = [source, other.source].sorted()
                throw CheckpointError(
                    .inconsistent, file: checkpoint.location, tensor: names[1],
                    "is the same weight as \"\(names[0])\" under another generation's name; remove one of them")
            }
        }
        location = checkpoint.location
        absent = Dictionary(checkpoint.absent.map { (canonical($0), $1) }, uniquingKeysWith: min)
        self.declarations = declarations
        groups = Dictionary(
            uniqueKeysWithValues: checkpoint.groups.map { (canonical($0), GroupList(first: canonical($1.first), span: $1.span)) })
    }

    /// Throws when the checkpoint has tensors that are neither among the used ones nor known to be of no use.
    func requireUse(_ used: [WeightDecl], ignoring: [NamePattern]) throws(CheckpointError) {
        let names = Set(used.map(\.name))
        let unused = declarations.values.filter { declaration in
            !names.contains(declaration.name) && groups[declaration.name] == nil && !ignoring.contains { $0.fits(declaration.name) }
        }
        guard !unused.isEmpty else { return }
        throw CheckpointError(
            .inconsistent, file: location,
            "has tensors that this architecture does not use: \(listed(unused.map(\.source))); is config.json this checkpoint's own?")
    }
}

/// The first few names in their order, and how many more there are.
func listed(_ names: [String]) -> String {
    let shown = names.sorted().prefix(8)
    return shown.joined(separator: ", ") + (names.count > shown.count ? " and \(names.count - shown.count) more" : "")
}
