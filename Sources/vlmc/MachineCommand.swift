import ArgumentParser
import Compiler
import Foundation

struct MachineCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "machine",
        abstract: "Print what this machine can do, as measured: what --machine FILE takes elsewhere.",
        discussion: """
            Rates are of one thread, and of all threads at once, by the time that each computes; as the store remembers \
            them, else the best of rounds of which two agree within 10 %. Where none do, since the machine is busy, a warning says so, and \
            "unsettled" names the rates that decide something. "spreads" are the shares by which the two best rounds differ. vpmaddubsw, \
            vpmaddwd, int8 (vpdpbusd) and int16 (vpdpwssd) are integer products with their sums.
            """)

    @OptionGroup var store: StoreOption

    func run() throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let machine = Machine.current(try store.resolved())
        (machine.warning ?? machine.disturbance).map(Terminal.warn)
        print(String(decoding: try encoder.encode(machine), as: UTF8.self))
    }
}
