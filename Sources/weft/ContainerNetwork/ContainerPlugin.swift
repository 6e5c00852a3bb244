// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshAdmin
import MeshCNI
import MeshModel

/// `weft-cni`: what a container runtime calls to give containers their network. It does nothing by
/// itself: the node's agent does.
enum ContainerPlugin {
    /// One call. Its answer, or what kept it from one, is on standard output.
    ///
    /// - Returns: what to exit with.
    static func run() async -> Int32 {
        guard let command = getenv("CNI_COMMAND"), command.pointee != 0 else {
            let versions = CNIVersion.allCases.map(\.rawValue).joined(separator: ", ")
            Console.error(
                "\(CNINetworkList.pluginName) \(weftVersion) is called by container runtimes; "
                    + "CNI versions: \(versions). 'weft cni install --help' says how they are told.\n"
            )
            return 0
        }
        var input: [UInt8] = []
        do throws(CNIError) {
            input = try read()
            let call = try CNICall(environment: environment(), input: input)
            let answer = try await PatientAgent(call.agent).answer(call)
            Console.out(String(decoding: answer, as: UTF8.self))
            return 0
        } catch {
            let document = error.document(version: CNICall.version(of: input))
            Console.out(String(decoding: document, as: UTF8.self))
            return 1
        }
    }

    /// One byte more than may come shows what is too large.
    private static func read() throws(CNIError) -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while bytes.count <= CNICall.inputBytesMaximum {
            let count = Glibc.read(STDIN_FILENO, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else {
                throw CNIError(
                    .inputOutput, "read standard input: \(String(cString: strerror(errno)))")
            }
            if count == 0 { break }
            bytes += chunk[..<count]
        }
        return bytes
    }

    private static func environment() -> [String: String] {
        let names = [
            "CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS",
        ]
        return names.reduce(into: [:]) { variables, name in
            variables[name] = getenv(name).map { String(cString: $0) }
        }
    }
}

/// The node's agent, asked until it answers or the time is over.
struct PatientAgent {
    private static let pause = Duration.milliseconds(100)
    /// Whether containers can be attached is asked again and again: no answer is an answer.
    private static let statusWait = Duration.seconds(2)

    private let agent: CNIAgent

    init(_ agent: CNIAgent) { self.agent = agent }

    func answer(_ call: CNICall) async throws(CNIError) -> [UInt8] {
        switch call.request {
        case .version(let requested): return CNICall.versions(requested: requested)
        case .add(let addition):
            let interface = try await ask { try await $0.attach(ContainerRequest(addition)) }
            return addition.result(try CNIInterface(interface), version: call.version)
        case .delete(let attachment):
            try await ask { try await $0.detach(ContainerKey(attachment)) }
        case .check(let attachment, let addresses):
            let wanted = ContainerCheck(
                key: ContainerKey(attachment), addresses: addresses.map(\.description))
            do throws(CNIError) {
                try await ask { try await $0.check(wanted) }
            } catch  where [.unknownContainer, .refused].contains(error.code) {
                throw CNIError(.broken, error.message, details: error.details)
            }
        case .collectGarbage(let network, let valid):
            let garbage = ContainerGarbage(
                network: network, valid: valid.map { ContainerKey($0) })
            _ = try await ask { try await $0.collectGarbage(garbage) }
        case .status: try await askReadiness()
        }
        return []
    }

    /// Asks once more as long as a later attempt may succeed.
    private func ask<Answer>(
        _ question: (AdminClient) async throws -> Answer
    ) async throws(CNIError) -> Answer {
        let deadline = ContinuousClock.now + .seconds(agent.waitSeconds)
        while true {
            let left = max(deadline - .now, Self.pause)
            do {
                return try await question(AdminClient(socketPath: agent.socket, timeout: left))
            } catch {
                let failure = CNIError(error)
                guard failure.code == .tryAgainLater, .now + Self.pause < deadline else {
                    throw failure
                }
            }
            do {
                try await Task.sleep(for: Self.pause)
            } catch {
                throw CNIError(.tryAgainLater, "the call was given up")
            }
        }
    }

    private func askReadiness() async throws(CNIError) {
        let readiness: ContainerReadiness
        do {
            readiness = try await AdminClient(
                socketPath: agent.socket, timeout: Self.statusWait
            ).readiness()
        } catch {
            // What the kernel holds goes on without the agent.
            let failure = CNIError(error)
            throw CNIError(.unavailable, failure.message, details: failure.details)
        }
        guard readiness.isLimited || !readiness.obstacles.isEmpty else { return }
        throw CNIError(
            readiness.isLimited ? .limitedConnectivity : .unavailable,
            readiness.obstacles.first ?? "the kernel doesn't hold all that the agent wants it to",
            details: readiness.obstacles.dropFirst().joined(separator: "; "))
    }
}

extension CNIError {
    /// What an agent that refused, or that couldn't be asked, is to a runtime.
    init(_ error: any Error) {
        switch error {
        case let error as AdminClientError:
            self.init(
                Self.code(of: error), "\(error)",
                details: "weftd must run on this node; \"socket\" in the network's configuration "
                    + "names its administration socket")
        case let fault as AdminFault:
            self.init(Self.code(of: fault), fault.message, details: fault.hint)
        default: self.init(.refused, "\(error)")
        }
    }

    private static func code(of error: AdminClientError) -> Code {
        switch error {
        case .unreachable, .timedOut: .tryAgainLater
        case .permissionDenied, .notAnAgent: .inputOutput
        case .otherVersion: .refused
        }
    }

    private static func code(of fault: AdminFault) -> Code {
        switch fault.code {
        case .unavailable: .tryAgainLater
        case .invalidRequest: .invalidConfiguration
        case .notFound: .unknownContainer
        case .forbidden, .conflict, .tooLarge, .internalError: .refused
        }
    }
}

extension CNIInterface {
    fileprivate init(_ interface: ContainerInterface) throws(CNIError) {
        var assignments: [Assignment] = []
        for assignment in interface.assignments {
            guard let address = Address(assignment.address),
                let gateway = Address(assignment.gateway)
            else { throw CNIError(.undecodable, "the agent's answer has no address") }
            assignments.append(Assignment(address: address, gateway: gateway))
        }
        self.init(
            hostInterface: interface.hostInterface, hardwareAddress: interface.hardwareAddress,
            mtu: interface.mtu, assignments: assignments)
    }
}

extension ContainerKey {
    fileprivate init(_ attachment: CNIAttachment) {
        self.init(container: attachment.container, interface: attachment.interface)
    }
}

extension ContainerRequest {
    fileprivate init(_ addition: CNICall.Addition) {
        self.init(
            key: ContainerKey(addition.attachment), network: addition.network,
            namespace: addition.workload.object.namespace, name: addition.workload.object.name,
            uid: addition.workload.uid, namespacePath: addition.namespacePath,
            addresses: addition.chained?.addresses.map(\.description))
    }
}
