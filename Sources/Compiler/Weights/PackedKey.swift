import Crypto
import Foundation
package import Plan

/// What a packed weight's bytes follow from, besides those of its sources: equal keys mean equal packed bytes.
package struct PackedKey {
    /// Of the packer; other versions may lay the same recipe out otherwise.
    package var packer: Int
    package var layout: WeightLayout
    package var shape: [Int]
    package var recipe: String

    package init(packer: Int = WeightPacker.version, layout: WeightLayout, shape: [Int], recipe: String) {
        self.packer = packer
        self.layout = layout
        self.shape = shape
        self.recipe = recipe
    }

    /// 32 hexadecimal digits.
    ///
    /// - Parameter sources: digests of the tensors that the recipe reads, in order.
    package func digest(of sources: [String]) -> String {
        var hash = SHA256()
        hash.update(data: Data("packer \(packer)\n\(layout) \(shape)\n\(recipe)\n".utf8))
        for source in sources { hash.update(data: Data("\(source)\n".utf8)) }
        return String(hash.finalize().hexadecimal.prefix(32))
    }
}
