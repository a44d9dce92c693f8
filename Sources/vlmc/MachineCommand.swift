import ArgumentParser
import Compiler
import Foundation

struct MachineCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "machine",
        abstract: "Print what this machine can do, as measured: what --machine FILE takes elsewhere.",
        discussion: """
            Rates are of one thread, by the time that it computes; as the store remembers them, else the best of rounds of which \
            two agree within 10 %. Where none do, since the machine is busy, a warning says so, and "unsettled" names the rates.
            """)

    @OptionGroup var store: StoreOption

    func run() throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let machine = Machine.current(try store.resolved())
        machine.warning.map(Terminal.warn)
        print(String(decoding: try encoder.encode(machine), as: UTF8.self))
    }
}
