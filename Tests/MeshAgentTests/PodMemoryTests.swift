// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes
import MeshModel
import MeshPolicy
import Testing

@testable import MeshAgent

@Suite("What is remembered of a node's pods")
struct PodMemoryTests {
    @Test("reads back as it was, and isn't there before the first write or when it is damaged")
    func life() throws {
        let folder = try TemporaryFolder()
        let memory = PodMemory(folder: folder.path)
        #expect(try memory.pods == nil)
        var pods: [ObjectName: PodManifest] = [:]
        for index in 0..<300 {
            pods[ObjectName(namespace: "shop", name: "web-\(index)")] = PodManifest(
                labels: ["app": "web", "note": String(repeating: "x", count: 900)],
                namedPorts: [NamedPort(name: "http", transport: .tcp, port: 8080)],
                isAudited: index == 0, uid: index == 1 ? nil : "uid-\(index)")
        }
        try memory.write(pods)
        #expect(try memory.pods == pods)
        try memory.write([:])
        #expect(try memory.pods == [:])
        _ = try folder.write("pods.json", "[{]")
        #expect(try memory.pods == nil)
    }

    @Test("isn't needed without an API server")
    func notNeeded() throws {
        let folder = try TemporaryFolder()
        #expect(try PodMemory(folder: folder.path, isNeeded: false).pods == [:])
    }
}
