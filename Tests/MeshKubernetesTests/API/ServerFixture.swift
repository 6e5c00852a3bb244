// SPDX-License-Identifier: Apache-2.0

import APIServerDouble
import Logging
import MeshKubernetes
import MeshModel
import Synchronization

struct Late: Error {}

/// Waits for a condition, with a deadline that only a fault reaches.
func eventually(
    within limit: Duration = .seconds(30), _ condition: () async throws -> Bool
) async throws {
    let clock = ContinuousClock()
    let end = clock.now + limit
    while clock.now < end {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(5))
    }
    throw Late()
}

/// Serves a double while `body` runs.
func withServer(
    _ state: DoubleState = DoubleState(), tls: DoubleCertificate? = nil,
    bookmarkInterval: Duration = .seconds(60),
    _ body: (APIServerDouble, KubernetesConfiguration) async throws -> Void
) async throws {
    var configuration = APIServerDouble.Configuration()
    configuration.tls = tls?.configuration
    configuration.bookmarkInterval = bookmarkInterval
    var logger = Logger(label: "double")
    logger.logLevel = .critical
    let server = APIServerDouble(state, configuration: configuration, logger: logger)
    let running = Task { try await server.run() }
    defer { running.cancel() }
    try await eventually { server.port != nil }
    guard let port = server.port else { throw Late() }
    let scheme = tls == nil ? "http" : "https"
    try await body(
        server,
        KubernetesConfiguration(
            server: "\(scheme)://127.0.0.1:\(port)",
            authorities: tls.map { .inline(Array($0.pem.utf8)) }, credentials: .none))
}

/// Holds what a reflector delivers.
final class MirrorConsumer: ObjectConsumer {
    private let mirror = Mutex(ObjectMirror())

    var value: ObjectMirror { mirror.withLock { $0 } }

    func receive(_ event: ObjectEvent, of selection: ObjectSelection) async {
        mirror.withLock { $0.receive(event) }
    }
}

func pod(_ name: String, node: String = "node-1", text: String = "") -> JSONValue {
    [
        "metadata": ["name": .string(name), "namespace": "shop"],
        "spec": ["nodeName": .string(node), "text": .string(text)],
    ]
}
