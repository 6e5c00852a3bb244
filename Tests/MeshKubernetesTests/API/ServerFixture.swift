// SPDX-License-Identifier: Apache-2.0

import APIServerDouble
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
