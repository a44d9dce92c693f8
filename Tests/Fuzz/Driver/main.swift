import Foundation

let arguments = Array(CommandLine.arguments.dropFirst())
if arguments.first == "--child", arguments.count == 6 {
    exit(FuzzChild.run(Array(arguments.dropFirst())))
}
do {
    exit(try FuzzRun(arguments).run() ? 0 : 1)
} catch {
    FileHandle.standardError.write(Data("\(error)\n".utf8))
    exit(2)
}
