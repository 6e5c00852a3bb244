// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import MeshAdmin

/// One binary, several programs: the name it is called by decides. `weftd` is `weft agent`.
@main
enum Entry {
    private static let program =
        CommandLine.arguments.first?.split(separator: "/").last.map(String.init) ?? "weft"

    static func main() async {
        let arguments = Array(CommandLine.arguments.dropFirst())
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
        var command = try root.parseAsRoot(arguments)
        if var command = command as? any AsyncParsableCommand {
            try await command.run()
        } else {
            try command.run()
        }
    }

    /// Tells what went wrong and turns it into the code to exit with.
    static func report(_ error: any Error) -> ExitCode {
        switch error {
        case let code as ExitCode:
            return code
        case AdminClientError.unreachable, AdminClientError.timedOut:
            Console.error("\(program): \(error)\n")
            return .agentUnreachable
        case let fault as AdminFault:
            Console.error("\(program): \(fault.message)\n")
            if let hint = fault.hint { Console.error("hint: \(hint)\n") }
            return .failure
        default:
            return reportParsing(error)
        }
    }

    private static func reportParsing(_ error: any Error) -> ExitCode {
        switch Weft.exitCode(for: error) {
        case .success:
            Console.out(Weft.fullMessage(for: error) + "\n")
            return .success
        case .validationFailure:
            Console.error(Weft.fullMessage(for: error) + "\n")
            return .usage
        default:
            Console.error("\(program): \(error)\n")
            return .failure
        }
    }
}
