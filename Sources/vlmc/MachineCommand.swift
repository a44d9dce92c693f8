import ArgumentParser
import Compiler
import Foundation

struct MachineCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "machine",
        abstract: "Print what this machine can do, as measured: what --machine FILE takes elsewhere.")

    @OptionGroup var store: StoreOption

    func run() throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        print(String(decoding: try encoder.encode(Machine.current(try store.resolved())), as: UTF8.self))
    }
}
