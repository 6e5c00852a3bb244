// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// One call of the plugin, read and judged before anything is done.
public struct CNICall: Sendable {
    public enum Request: Hashable, Sendable {
        case add(Addition)
        case delete(CNIAttachment)
        /// The attachment, and the addresses that it had.
        case check(CNIAttachment, [Address])
        /// The network's name, and the attachments that it still has.
        case collectGarbage(network: String, valid: Set<CNIAttachment>)
        case status
        /// As the runtime said it.
        case version(String)
    }

    public struct Addition: Hashable, Sendable {
        public let attachment: CNIAttachment
        public let network: String
        public let workload: CNIWorkload
        public let namespacePath: String
        /// What a plugin before this one made; nil: there is none, this one is the first.
        public let chained: Chained?
        let dns: JSONValue?
    }

    public struct Chained: Hashable, Sendable {
        public let result: PreviousResult
        /// Of the container's interface.
        public let addresses: [Address]
    }

    public let request: Request
    /// Of the results.
    public let version: CNIVersion
    public let agent: CNIAgent

    /// Largest input.
    public static let inputBytesMaximum = CNIConfiguration.bytesMaximum

    /// - Parameters:
    ///   - environment: the process's variables.
    ///   - input: what came on standard input, ``inputBytesMaximum`` and one more at most.
    /// - Throws: ``CNIError`` for whatever can't be done as it is said: nothing was done.
    public init(environment variables: [String: String], input: [UInt8]) throws(CNIError) {
        let environment = CNIEnvironment(variables)
        let verb = try environment.verb()
        if verb == .version {
            request = .version(try CNIConfiguration.requestedVersion(input))
            version = .newest
            agent = CNIAgent(socket: CNIConfiguration.defaultSocket, waitSeconds: 0)
            return
        }
        let configuration = try CNIConfiguration(input)
        version = configuration.version
        guard configuration.version >= verb.since else {
            throw CNIError(
                .incompatibleVersion,
                "cniVersion \(configuration.version.rawValue) has no \(verb.rawValue)")
        }
        let network = try configuration.name()
        agent = try configuration.agent()
        switch verb {
        case .add:
            request = .add(try Self.addition(environment, configuration, network))
        case .delete: request = .delete(try environment.attachment())
        case .check:
            _ = try environment.namespacePath()
            let attachment = try environment.attachment()
            guard let previous = try configuration.previousResult() else {
                throw CNIError(.invalidConfiguration, "CHECK needs prevResult")
            }
            request = .check(attachment, try previous.addresses(of: attachment.interface))
        case .collectGarbage:
            request = .collectGarbage(
                network: network, valid: try configuration.validAttachments())
        case .status, .version: request = .status
        }
    }

    private static func addition(
        _ environment: CNIEnvironment, _ configuration: CNIConfiguration, _ network: String
    ) throws(CNIError) -> Addition {
        try configuration.checkFields()
        let attachment = try environment.attachment()
        let previous = try configuration.previousResult()
        return Addition(
            attachment: attachment, network: network,
            workload: try environment.workload(
                of: attachment.container, namespace: try configuration.namespace()),
            namespacePath: try environment.namespacePath(),
            chained: try previous.map { result throws(CNIError) in
                Chained(result: result, addresses: try result.addresses(of: attachment.interface))
            }, dns: configuration.root["dns"])
    }

    /// The version that an error's document bears: the configuration's, if it can be told.
    public static func version(of input: [UInt8]) -> CNIVersion? {
        (try? CNIConfiguration.requestedVersion(input)).flatMap(CNIVersion.init)
    }
}
