// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshKubernetes
import MeshModel
import MeshPolicy
import Testing

private let echo = RecordKey(kind: .service, name: "default/echo")

private func port(_ key: RecordKey, in snapshot: FolderSnapshot) throws -> UInt16? {
    try snapshot.records[key].map { try ServiceRecord(encoded: $0).ports[0].port }
}

@Suite("A folder of manifests")
struct ManifestFolderTests {
    private let folder = TemporaryFolder()
    private var manifests: ManifestFolder

    init() { manifests = ManifestFolder(path: folder.path) }

    @Test("is the sum of its files; other files and folders are not looked at")
    mutating func sum() throws {
        folder.write("a.yaml", service("a"))
        folder.write("b.yml", slice(name: "b", endpoint("10.1.0.1")))
        folder.write("c.json", #"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"c"}}"#)
        folder.write("d.yaml.swp", "{{{")
        folder.write(".e.yaml", "{{{")
        mkdir("\(folder.path)/f.yaml", 0o755)
        mkfifo("\(folder.path)/g.yaml", 0o644)
        defer { rmdir("\(folder.path)/f.yaml") }
        #expect(try manifests.scan(nowUnixSeconds: 1))
        #expect(manifests.snapshot.problems == [])
        #expect(
            manifests.snapshot.records.keys.sorted().map(\.description) == [
                "namespace/c", "service/default/a", "slice/default/b",
            ])
        let again = try manifests.scan(nowUnixSeconds: 2)
        #expect(!again)
    }

    @Test("that doesn't exist is a clear error")
    func missing() {
        var manifests = ManifestFolder(path: "/nowhere/at/all")
        #expect {
            try manifests.scan(nowUnixSeconds: 0)
        } throws: { error in
            "\(error)" == "folder /nowhere/at/all does not exist; create it, or name another one"
        }
    }

    @Test("keeps in force what a broken file last said, and tells since when it is broken")
    mutating func broken() throws {
        folder.write("a.yaml", service())
        _ = try manifests.scan(nowUnixSeconds: 100)
        folder.write("a.yaml", service(ip: "nonsense") + service("other"))
        let broke = manifests.reread("a.yaml", nowUnixSeconds: 200)
        #expect(broke)
        #expect(manifests.snapshot.records.keys.map(\.description) == ["service/default/echo"])
        #expect(
            manifests.snapshot.problems.map(\.description) == [
                "a.yaml:8: spec.clusterIP is \"nonsense\", which is no IP address"
            ])

        folder.write("a.yaml", "\n" + service(ip: "nonsense"))
        _ = manifests.reread("a.yaml", nowUnixSeconds: 300)
        #expect(manifests.snapshot.problems.map(\.line) == [9])
        #expect(manifests.snapshot.problems.map(\.sinceUnixSeconds) == [200])

        folder.write("a.yaml", service(ports: "[{port: 81}]"))
        _ = manifests.reread("a.yaml", nowUnixSeconds: 400)
        #expect(manifests.snapshot.problems == [])
        #expect(try port(echo, in: manifests.snapshot) == 81)
    }

    @Test("loses what a removed file said, broken or not")
    mutating func removal() throws {
        folder.write("a.yaml", service())
        _ = try manifests.scan(nowUnixSeconds: 0)
        folder.write("a.yaml", "{{{")
        _ = manifests.reread("a.yaml", nowUnixSeconds: 0)
        #expect(manifests.snapshot.records.count == 1 && manifests.snapshot.problems.count == 1)
        folder.remove("a.yaml")
        let gone = manifests.reread("a.yaml", nowUnixSeconds: 0)
        #expect(gone && manifests.snapshot == FolderSnapshot())
    }

    @Test("lets the oldest of several files speak for an object, and says so")
    mutating func duplicates() throws {
        folder.write("a.yaml", service(ports: "[{port: 1}]"))
        folder.write("b.yaml", service(ports: "[{port: 2}]"))
        folder.write("c.yaml", "---\n" + service(ports: "[{port: 3}]"))
        try folder.touch("a.yaml", 3000)
        try folder.touch("b.yaml", 1000)
        try folder.touch("c.yaml", 1000)
        _ = try manifests.scan(nowUnixSeconds: 5000)
        #expect(try port(echo, in: manifests.snapshot) == 2, "equally old: the first by name")
        let sentence =
            "Service default/echo is declared in b.yaml too, which is older and in "
            + "force; remove one"
        #expect(
            manifests.snapshot.problems.map(\.description) == [
                "a.yaml:2: \(sentence)", "c.yaml:3: \(sentence)",
            ])
        folder.remove("b.yaml")
        _ = try manifests.scan(nowUnixSeconds: 5001)
        #expect(try port(echo, in: manifests.snapshot) == 3)
        #expect(manifests.snapshot.problems.map(\.file) == ["a.yaml"])
        folder.remove("c.yaml")
        _ = try manifests.scan(nowUnixSeconds: 5002)
        #expect(try port(echo, in: manifests.snapshot) == 1)
        #expect(manifests.snapshot.problems == [])
    }

    @Test("gives labels of pods and nodes, and counts what Weft doesn't use")
    mutating func labels() throws {
        folder.write(
            "a.yaml",
            """
            {apiVersion: v1, kind: Pod, metadata: {name: a, namespace: x, labels: {app: echo}}}
            ---
            {apiVersion: v1, kind: Node, metadata: {name: n, labels: {zone: z}}}
            ---
            {apiVersion: v1, kind: Secret, metadata: {name: s}}
            """)
        folder.write("b.yaml", "{apiVersion: v1, kind: Secret, metadata: {name: t}}")
        _ = try manifests.scan(nowUnixSeconds: 0)
        let pod = ObjectName(namespace: "x", name: "a")
        #expect(manifests.snapshot.pods == [pod: PodManifest(labels: ["app": "echo"])])
        #expect(manifests.snapshot.nodeLabels == ["n": ["zone": "z"]])
        #expect(manifests.snapshot.ignored == ["v1 Secret": 2])
        folder.remove("a.yaml")
        _ = try manifests.scan(nowUnixSeconds: 0)
        #expect(manifests.snapshot.pods.isEmpty && manifests.snapshot.nodeLabels.isEmpty)
        #expect(manifests.snapshot.ignored == ["v1 Secret": 1])
    }

    @Test("a policy that can't be used leaves in force what its file said; a removed one is gone")
    mutating func policies() throws {
        func policy(_ port: String) -> String {
            """
            apiVersion: networking.k8s.io/v1
            kind: NetworkPolicy
            metadata: {name: db, namespace: shop}
            spec: {podSelector: {}, ingress: [{ports: [{port: \(port)}]}]}
            """
        }
        func ports() -> [PortMatcher]? {
            let name = PolicyName(kind: .networkPolicy, namespace: "shop", name: "db")
            return manifests.snapshot.policies[name]?.sections[0].ingress[0].ports
        }
        folder.write("a.yaml", policy("80"))
        _ = try manifests.scan(nowUnixSeconds: 0)
        #expect(ports() == [.range(protocolNumber: 6, 80...80)])
        folder.write("a.yaml", policy("70000"))
        folder.write("b.yaml", service("b"))
        _ = try manifests.scan(nowUnixSeconds: 0)
        #expect(ports() == [.range(protocolNumber: 6, 80...80)])
        #expect(
            manifests.snapshot.problems.map(\.description) == [
                "a.yaml:4: spec.ingress[0].ports[0].port is 70000; must be 1...65535"
            ])
        #expect(manifests.snapshot.records.count == 1)
        folder.write("a.yaml", policy("81"))
        _ = try manifests.scan(nowUnixSeconds: 0)
        #expect(ports() == [.range(protocolNumber: 6, 81...81)])
        folder.remove("a.yaml")
        _ = try manifests.scan(nowUnixSeconds: 0)
        #expect(manifests.snapshot.policies.isEmpty)
    }
}
