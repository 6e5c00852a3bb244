// SPDX-License-Identifier: Apache-2.0

import Logging
public import MeshAdmin
import MeshTransport
import ServiceLifecycle

/// Follows the configuration's file: what can change under way does; of the rest it says that a restart
/// would take it up. A file that is wrong changes nothing.
actor ConfigurationService: Service {
    static let interval = Duration.seconds(2)

    /// Reads all layers anew.
    typealias Read = @Sendable () throws -> ConfigurationLayers
    /// Takes up the values of live settings.
    typealias Apply = @Sendable (AgentConfiguration) async -> Void

    private let file: String
    private let role: AgentConfiguration.Role
    private let read: Read
    private let apply: Apply
    private let log: Logger
    /// What this agent goes by: what it started with, and live settings as they were said since.
    private var used: [String: SettingStatus]
    private var stamp: FileStamp
    private(set) var problem: String?
    /// What is said by now, by key, of settings that take a restart.
    private var pending: [String: String] = [:]

    init(
        file: String, _ settings: [SettingStatus], as role: AgentConfiguration.Role = .node,
        log: Logger, read: @escaping Read, apply: @escaping Apply
    ) {
        self.file = file
        self.role = role
        self.read = read
        self.apply = apply
        self.log = log
        used = Dictionary(uniqueKeysWithValues: settings.map { ($0.key, $0) })
        stamp = FileStamp(file)
    }

    var status: ConfigurationStatus {
        ConfigurationStatus(
            file: file, problem: problem,
            settings: Setting.all.compactMap { setting in
                used[setting.key].map {
                    SettingStatus(
                        key: $0.key, value: $0.value, source: $0.source,
                        pending: pending[$0.key], isLive: $0.isLive)
                }
            })
    }

    func run() async throws {
        for await _ in AsyncTimer(every: Self.interval).cancelOnGracefulShutdown() {
            await look()
        }
    }

    /// Reads the file if it is another one than before.
    func look() async {
        let present = FileStamp(file)
        guard present != stamp else { return }
        stamp = present
        do {
            let layers = try read()
            let configuration = try AgentConfiguration(layers, as: role)
            problem = nil
            await take(layers, configuration)
        } catch {
            problem = "\(error)"
            log.error(
                "The configuration isn't used; the former goes on",
                metadata: ["problem": "\(error)"])
        }
    }

    private func take(_ layers: ConfigurationLayers, _ configuration: AgentConfiguration) async {
        var changed: [String] = []
        pending = [:]
        for said in layers.settings {
            let former = used[said.key]
            if former?.value == said.value || said.isLive { used[said.key] = said }
            guard former?.value != said.value else { continue }
            if said.isLive {
                changed.append(said.key)
            } else {
                pending[said.key] = said.value ?? "nothing"
            }
        }
        if !changed.isEmpty {
            await apply(configuration)
            log.notice(
                "The configuration has changed",
                metadata: ["keys": "\(changed.joined(separator: " "))"])
        }
        if !pending.isEmpty {
            log.warning(
                "What the configuration says now takes a restart",
                metadata: ["keys": "\(pending.keys.sorted().joined(separator: " "))"])
        }
    }
}

extension ConfigurationLayers {
    /// Every setting that was said or has a default, in order.
    public var settings: [SettingStatus] {
        Setting.all.map { setting in
            let origin = origin(of: setting)
            return SettingStatus(
                key: setting.key,
                value: origin == nil ? setting.standard : value(of: setting),
                source: origin?.description, isLive: setting.isLive)
        }
    }
}
