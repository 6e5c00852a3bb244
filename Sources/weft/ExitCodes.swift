// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import FoundationEssentials
import Glibc
import MeshAdmin
import MeshAgent
import MeshLab

/// What `weft` exits with, beside 0.
extension ExitCode {
    /// The command line makes no sense. (The argument library's own choice is 64, `EX_USAGE`.)
    static let usage = ExitCode(2)
    /// No agent answered: nothing was asked and nothing was changed.
    static let agentUnreachable = ExitCode(3)
    /// This user may not use the socket, or not for that.
    static let forbidden = ExitCode(4)
    /// What was named isn't there.
    static let unknownName = ExitCode(5)
    /// The agent is of a version that doesn't go with this one.
    static let otherVersion = ExitCode(6)
    /// Another program than the agent has the socket.
    static let notAnAgent = ExitCode(7)
    /// `weft why SRC DST`: the flow doesn't get through.
    static let stops = ExitCode(8)

    static let documentation = """
        Exit codes: 0 done; 1 it failed, or the agent refused; 2 the command line makes no sense; \
        3 no agent answered; 4 this user may not; 5 what was named isn't there; 6 weft and agent are \
        of versions that don't go together; 7 another program has the socket; 8 'weft why' found \
        what stops a flow. 'weft lab exec' exits with the code of the command it ran.
        """
}

/// What somebody reads of an error: a sentence, and what to do.
struct Complaint: Error, Equatable {
    let sentence: String
    var hint: String?
    let code: ExitCode

    init(_ sentence: String, hint: String? = nil, code: ExitCode) {
        self.sentence = sentence
        self.hint = hint
        self.code = code
    }

    init(_ error: any Error) {
        switch error {
        case let error as AdminClientError:
            self.init("\(error)", hint: error.hint, code: Self.code(of: error))
        case let fault as AdminFault:
            self.init(fault.message, hint: fault.hint, code: Self.code(of: fault))
        case let complaint as Complaint: self = complaint
        case let problem as InputFile.Problem:
            self.init(
                "\(problem)", hint: "name a file that this user may read",
                code: Self.code(ofSystem: problem.errno))
        case let error as ConfigurationError:
            self.init(
                "\(error)",
                hint:
                    "'weft config check FILE' names every mistake, 'weft config keys' what there is",
                code: .failure)
        case let error as CocoaError:
            let cause = (error.underlying as? POSIXError)?.code.rawValue
            self.init(
                [error.filePath, cause.map { String(cString: strerror($0)) } ?? "\(error)"]
                    .compactMap(\.self).joined(separator: ": "),
                hint: "name a place that this user may write to",
                code: Self.code(ofSystem: cause ?? 0))
        case let error as LabError:
            self.init("\(error)", code: error.code == .notFound ? .unknownName : .failure)
        default: self.init("\(error)", code: .failure)
        }
    }

    private static func code(ofSystem errno: Int32) -> ExitCode {
        switch errno {
        case ENOENT: .unknownName
        case EACCES, EPERM: .forbidden
        default: .failure
        }
    }

    private static func code(of error: AdminClientError) -> ExitCode {
        switch error {
        case .unreachable, .timedOut: .agentUnreachable
        case .permissionDenied: .forbidden
        case .notAnAgent: .notAnAgent
        case .otherVersion: .otherVersion
        }
    }

    private static func code(of fault: AdminFault) -> ExitCode {
        switch fault.code {
        case .notFound: .unknownName
        case .forbidden: .forbidden
        default: .failure
        }
    }
}
