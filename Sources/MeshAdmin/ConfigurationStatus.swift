// SPDX-License-Identifier: Apache-2.0

/// What an agent goes by, and who said so.
public struct ConfigurationStatus: Hashable, Sendable, Codable {
    public let file: String
    /// Why the file, as it is now, isn't used; the agent goes on with what it had.
    public let problem: String?
    public let settings: [SettingStatus]

    public init(file: String, problem: String? = nil, settings: [SettingStatus]) {
        self.file = file
        self.problem = problem
        self.settings = settings
    }
}

public struct SettingStatus: Hashable, Sendable, Codable {
    /// `ports.state`
    public let key: String
    /// As it could be written; nil: nothing was said, and nothing holds.
    public let value: String?
    /// `FILE:LINE`, `$VARIABLE` or `--set`; nil: nobody said it, this is the default.
    public let source: String?
    /// What is said by now; a restart takes it up.
    public let pending: String?
    /// Whether a running agent takes up another value.
    public let isLive: Bool

    public init(
        key: String, value: String?, source: String? = nil, pending: String? = nil, isLive: Bool
    ) {
        self.key = key
        self.value = value
        self.source = source
        self.pending = pending
        self.isLive = isLive
    }
}

/// The agent's configuration, as the admin server sees it.
public protocol ConfigurationProvider: Sendable {
    func configurationStatus() async throws -> ConfigurationStatus
}

extension AdminClient {
    public func configuration() async throws -> ConfigurationStatus {
        try await get("/v1/configuration")
    }
}
