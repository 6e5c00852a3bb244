// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import MeshCNI

/// One binary, several programs: the name it is called by decides. `weftd` is `weft agent`.
@main
enum Entry {
    private static let program =
        CommandLine.arguments.first?.split(separator: "/").last.map(String.init) ?? "weft"

    static func main() async {
        let arguments = Array(CommandLine.arguments.dropFirst())
        // Its words are the environment, its errors JSON.
        if program == CNINetworkList.pluginName { exit(await ContainerPlugin.run()) }
        do {
            switch program {
            case "weftd": try await run(Weftd.self, arguments)
            default: try await run(Weft.self, arguments)
            }
        } catch {
            exit(report(error).rawValue)
        }
    }

    private static func run(
        _ root: any ParsableCommand.Type, _ arguments: [String]
    ) async throws {
        if let complaint = Complaint.help(of: root, arguments) { throw complaint }
        var command = try root.parseAsRoot(arguments)
        if var command = command as? any AsyncParsableCommand {
            try await command.run()
        } else {
            try command.run()
        }
    }

    /// Tells what went wrong and turns it into the code to exit with.
    static func report(_ error: any Error) -> ExitCode {
        if let code = error as? ExitCode { return code }
        let root: any ParsableCommand.Type = program == "weftd" ? Weftd.self : Weft.self
        let complaint: Complaint
        switch root.exitCode(for: error) {
        case .success:
            Console.out(root.fullMessage(for: error) + "\n")
            return .success
        case .validationFailure:
            complaint = Complaint.usage(
                root.message(for: error), of: root,
                Array(CommandLine.arguments.dropFirst()))
        default: complaint = Complaint(error)
        }
        Console.error("\(program): \(complaint.sentence)\n")
        if let hint = complaint.hint { Console.error("hint: \(hint)\n") }
        return complaint.code
    }
}
