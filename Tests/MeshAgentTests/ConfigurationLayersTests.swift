// SPDX-License-Identifier: Apache-2.0

import Logging
import MeshAdmin
import Testing

@testable import MeshAgent

@Suite("What a configuration is made of")
struct ConfigurationLayersTests {
    private let folder: TemporaryFolder
    private let file: String

    init() throws {
        folder = try TemporaryFolder()
        file = try folder.write("weft.yaml", rightConfiguration)
    }

    private func layers(
        _ environment: [String: String] = [:], _ options: String...
    ) throws -> ConfigurationLayers {
        try ConfigurationLayers(file: file, environment: environment, options: options)
    }

    @Test("the file says, the environment says otherwise, an option has the last word")
    func order() throws {
        let port = try #require(Setting.named("ports.state"))
        #expect(port.variable == "WEFT_PORTS_STATE")
        let silent = try layers()
        #expect(silent.origin(of: port) == nil && silent.value(of: port) == nil)
        let environment = ["WEFT_PORTS_STATE": "7", "WEFT_NODE_ZONE": "007", "HOME": "/"]
        let said = try layers(environment)
        #expect(said.origin(of: port) == .variable("WEFT_PORTS_STATE"))
        #expect(try AgentConfiguration(said).ports.state == 7)
        #expect(try AgentConfiguration(said).zone == "007", "a text stays what it is")
        let last = try layers(environment, "ports.state=8", "publisher.candidates=[a]")
        #expect(last.origin(of: port) == .option && last.value(of: port) == "8")
        let configuration = try AgentConfiguration(last)
        #expect(configuration.ports.state == 8)
        #expect(configuration.publisher.candidates == ["a"], "a mapping in place of a name")
        let mesh = try #require(last.settings.first { $0.key == "mesh" })
        #expect(mesh.source == "\(file):1" && mesh.value == "example")
    }

    @Test(
        "a key that nobody knows is refused with its line and what was meant",
        arguments: [
            ("prots: {state: 5}", "14: prots isn't known; did you mean ports?"),
            ("ports: {sate: 5}", "14: ports.sate isn't known; did you mean ports.state?"),
            ("ports: {STATE: 5}", "14: ports.STATE isn't known; did you mean ports.state?"),
            ("profile: fast", "14: profile isn't known; did you mean health.profile?"),
            ("health: {mode: x}", "14: health.mode isn't known; what is known there is profile"),
            ("charter: {quota: {burts: 1}}", "charter.quota.burts isn't known; did you mean"),
            ("name: x", "14: name isn't known; what is known there is mesh, "),
            ("3: x", "14: 3 isn't known"),
        ])
    func unknown(line: String, says: String) throws {
        // Before the paths, which end the file.
        let text = rightConfiguration + line + "\n"
        _ = try folder.write("weft.yaml", text)
        let number = text.split(separator: "\n", omittingEmptySubsequences: false).count - 1
        let problem = try #require(layers().problems.first)
        let expected = says.replacing("14: ", with: "\(number): ")
        #expect("\(problem)".contains(expected), "\(problem)")
        #expect(throws: ConfigurationError.self) { try AgentConfiguration(layers()) }
    }

    @Test("variables that are nearly ours are refused, others are none of our business")
    func variables() throws {
        let near = try layers(["WEFT_PORT_STATE": "7"]).problems
        #expect(
            near.map(\.description)
                == ["$WEFT_PORT_STATE: isn't known; did you mean WEFT_PORTS_STATE?"])
        // What Kubernetes adds for a Service named weft.
        let service = [
            "WEFT_SOCKET": "/x", "WEFT_PORT": "tcp://10.0.0.1:80", "WEFT_SERVICE_HOST": "10.0.0.1",
            "WEFT_SERVICE_PORT": "80", "WEFT_PORT_80_TCP_ADDR": "10.0.0.1",
        ]
        #expect(try layers(service).problems.isEmpty)
        #expect(try layers([:], "prots.state=1").problems.count == 1)
        #expect(throws: ConfigurationError.self) { try layers([:], "ports.state") }
        #expect(throws: ConfigurationError.self) { try layers(["WEFT_PORTS_STATE": "["]) }
        #expect(throws: ConfigurationError.self) { try layers(["WEFT_PORTS_STATE": ""]) }
    }

    @Test("who said a wrong value is named")
    func blame() throws {
        func problem(_ layers: ConfigurationLayers) throws -> String {
            let error = #expect(throws: ConfigurationError.self) { try AgentConfiguration(layers) }
            return try #require(error).description
        }
        #expect(
            try problem(layers(["WEFT_PORTS_STATE": "0"]))
                == "$WEFT_PORTS_STATE: ports.state: 0 must be 1 to 65535")
        #expect(try problem(layers([:], "logLevel=loud")).hasPrefix("--set: logLevel: 'loud'"))
        #expect(try problem(layers([:], "cluster.id=x")).hasPrefix("--set: cluster.id: "))
        _ = try folder.write("weft.yaml", rightConfiguration + "imports: some\n")
        let line = rightConfiguration.split(separator: "\n", omittingEmptySubsequences: false).count
        #expect(try problem(layers()).hasPrefix("\(file):\(line): imports: 'some'"))
    }

    /// With everything that may be said.
    private static let whole = [
        "publisher.candidates=[b, a]", "publisher.lease=etcd", "etcd.endpoints=['192.0.2.9:2379']",
        "etcd.bundle=b.pem", "etcd.certificate=c.pem", "etcd.key=k.pem",
        "identityLabels.include=[a]", "identityLabels.exclude=[b]",
        "charter.podPrefixes=[10.1.0.0/16]",
        "charter.serviceCIDRs=[10.9.0.0/16]", "charter.namespaces=[a]", "charter.quota.endpoints=2",
        "charter.quota.services=2", "charter.quota.records=2", "charter.quota.valueBytes=2",
        "charter.quota.recordsPerSecond=2", "charter.quota.burst=2", "metricsPort=2",
        "capacity.file=/x",
    ]

    @Test("every setting is heeded", arguments: Setting.all.map(\.key))
    func heeded(key: String) throws {
        let before = try ConfigurationLayers(file: file, options: Self.whole)
        #expect(before.problems.isEmpty)
        let setting = try #require(Setting.named(key))
        let other = setting.standard == "true" ? "false" : "77"
        let after = try ConfigurationLayers(file: file, options: Self.whole + ["\(key)=\(other)"])
        #expect(after.problems.isEmpty)
        let unchanged = "\(try AgentConfiguration(before))"
        do {
            #expect("\(try AgentConfiguration(after))" != unchanged)
        } catch let error as ConfigurationError {
            #expect("\(error)".contains(key.split(separator: ".")[0]), "\(error)")
        }
    }

    @Test("defaults are what the list of settings says")
    func defaults() throws {
        // Refused without what they belong to, or written otherwise.
        let others: Set = ["publisher.lease", "node.zone", "kubernetes.serviceAccountFolder"]
        let said = Setting.all.filter { !others.contains($0.key) }.compactMap { setting in
            setting.standard.map { "\(setting.key)=\($0)" }
        }
        let explicit = try ConfigurationLayers(file: file, options: said)
        let silent = try ConfigurationLayers(file: file)
        #expect("\(try AgentConfiguration(explicit))" == "\(try AgentConfiguration(silent))")
        #expect(said.count >= 12)
    }

    @Test("what can change under way does; what can't waits; what is wrong changes nothing")
    func changes() async throws {
        let (applied, applications) = AsyncStream.makeStream(of: AgentConfiguration.self)
        var iterator = applied.makeAsyncIterator()
        let layers = try self.layers()
        let service = ConfigurationService(
            file: file, layers.settings,
            log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            read: { [file] in try ConfigurationLayers(file: file) },
            apply: { applications.yield($0) })
        func row(_ key: String) async -> SettingStatus? {
            await service.status.settings.first { $0.key == key }
        }
        await service.look()
        #expect(await service.problem == nil)

        _ = try folder.write(
            "weft.yaml", rightConfiguration + "logLevel: debug\nports: {state: 7}\n")
        await service.look()
        #expect(await iterator.next()?.logLevel == .debug)
        #expect(await row("logLevel")?.value == "debug")
        let port = await row("ports.state")
        #expect(port?.value == "4790" && port?.pending == "7" && port?.source == nil)

        _ = try folder.write("weft.yaml", rightConfiguration + "logLevel: loud!\n")
        await service.look()
        #expect(await service.problem?.contains("logLevel: 'loud!'") == true)
        #expect(await row("logLevel")?.value == "debug", "the former goes on")

        // As it was: nothing waits any more, and what is live is the default again.
        _ = try folder.write("weft.yaml", rightConfiguration)
        await service.look()
        #expect(await iterator.next()?.logLevel == .info)
        #expect(await service.problem == nil)
        #expect(await row("ports.state")?.pending == nil)
        #expect(await row("logLevel")?.value == "info")
    }

    @Test("a log's level changes in every copy")
    func level() {
        let level = SharedLogLevel(.info)
        var log = Logger(label: "test") { _ in
            SharedLevelHandler(SwiftLogNoOpLogHandler(), level)
        }
        log[metadataKey: "node"] = "a"
        let copy = log
        #expect(copy.logLevel == .info)
        level.level = .debug
        #expect(copy.logLevel == .debug && log.logLevel == .debug)
    }
}
