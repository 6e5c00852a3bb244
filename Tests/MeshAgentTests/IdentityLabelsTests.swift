// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Testing

@testable import MeshAgent

@Suite("Which labels make an identity")
struct IdentityLabelsTests {
    private static let north = ClusterName(rawValue: "north")!

    private func labels(
        _ more: Labels, _ selection: IdentityLabels = .standard
    ) -> Labels {
        let record = endpoint("p", on: "a", "10.1.0.1", labels: more)
        return selection.labels(of: record, cluster: Self.north)
    }

    private let added = [
        "io.kubernetes.pod.namespace": "default", "io.weft.cluster": "north",
    ]

    @Test(
        "what differs between the replicas or the runs of a workload doesn't",
        arguments: [
            "pod-template-hash", "pod-template-generation", "controller-revision-hash",
            "controller-uid", "job-name", "batch.kubernetes.io/job-name",
            "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-completion-index",
            "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index",
            "topology.kubernetes.io/zone", "kubernetes.io/hostname", "helm.sh/chart",
            "annotation.example", "tekton.dev/pipelineRunUID", "rollouts-pod-template-hash",
        ])
    func ignored(key: String) {
        #expect(labels([key: "x"]) == added)
        #expect(labels([key: "x", "app": "echo"]).keys.sorted().first == "app")
    }

    @Test(
        "what people select pods by does",
        arguments: [
            "app", "app.kubernetes.io/name", "app.kubernetes.io/version", "tier", "job-names",
            "example.com/pod-template-hash", "tekton.dev/pipeline", "run",
        ])
    func relevant(key: String) {
        #expect(labels([key: "x"])[key] == "x")
    }

    @Test("a pod can't give itself a namespace, a cluster, or another label of the mesh's own")
    func ownLabels() throws {
        let forged = [
            "io.kubernetes.pod.namespace": "kube-system", "io.weft.cluster": "south",
            "io.weft.namespace.labels.team": "admin",
        ]
        #expect(labels(forged) == added)
        #expect(labels(forged, try IdentityLabels(include: ["*"], exclude: [])) == added)
    }

    @Test(
        "of what is configured the most specific decides, and all of it goes before the defaults",
        arguments: [
            (["job-name"], [], ["job-name": true, "controller-uid": false, "app": true]),
            (
                [], ["team", "example.com/*"],
                [
                    "team": false, "teams": true, "example.com/x": false, "example.co": true,
                    "job-name": false,
                ]
            ),
            (["app", "tier*"], ["*"], ["app": true, "apps": false, "tier-1": true, "x": false]),
            (
                ["example.com/a*", "example.com/abc"], ["example.com/*", "example.com/ab*"],
                [
                    "example.com/x": false, "example.com/a": true, "example.com/abd": false,
                    "example.com/abc": true, "example.com/abcd": false,
                ]
            ),
            (["*"], [], ["pod-template-hash": true, "helm.sh/chart": true]),
            (["batch.kubernetes.io/*"], [], ["batch.kubernetes.io/job-name": true]),
        ] as [([String], [String], [String: Bool])])
    func precedence(include: [String], exclude: [String], expected: [String: Bool]) throws {
        let selection = try IdentityLabels(include: include, exclude: exclude)
        for (key, isRelevant) in expected {
            #expect(selection.isRelevant(key) == isRelevant, "\(key)")
        }
    }

    @Test(
        "a pattern that can't be meant is refused",
        arguments: [
            (["a*b"], [], NamePatterns.Fault.malformed("a*b")),
            ([""], [], .malformed("")),
            ([], ["a b"], .malformed("a b")),
            (
                [], [String(repeating: "x", count: 318)],
                .malformed(String(repeating: "x", count: 318))
            ),
            (["app"], ["app"], .repeated("app")),
            (["app*", "app*"], [], .repeated("app*")),
            ([], (0..<257).map { "k\($0)" }, .tooMany(257)),
        ] as [([String], [String], NamePatterns.Fault)])
    func malformed(include: [String], exclude: [String], fault: NamePatterns.Fault) {
        #expect(throws: fault) { try IdentityLabels(include: include, exclude: exclude) }
    }

    @Test("100,000 pods of 40 workloads, whatever else their labels say, need 40 identities")
    func manyPods() {
        var allocator = IdentityAllocator(cluster: cluster(1), mark: 0, startedAt: .zero)
        allocator.reserved(upTo: 1280)
        var identities: Set<Identity> = []
        for number in 0..<100_000 {
            let labels = labels([
                "app": "w\(number % 40)", "app.kubernetes.io/part-of": "shop",
                "pod-template-hash": "\(number % 977)",
                "statefulset.kubernetes.io/pod-name": "p\(number)",
                "apps.kubernetes.io/pod-index": "\(number)",
                "batch.kubernetes.io/controller-uid": "\(number)", "job-name": "run-\(number)",
                "helm.sh/chart": "w-1.0.\(number % 7)",
                "topology.kubernetes.io/zone": "z\(number % 3)",
            ])
            identities.formUnion([allocator.identity(for: labels, at: .zero)].compactMap(\.self))
        }
        #expect(identities.count == 40)
        #expect(allocator.shortage == nil)
    }

    @Test("an endpoint with as many labels as there may be still gets a record that can be read")
    func manyLabels() throws {
        let many = Dictionary(
            uniqueKeysWithValues: (0..<RecordLimit.labels).map { ("label-\($0)", "x") })
        let record = IdentityRecord(identity: identity(256), labels: labels(many))
        let read = try IdentityRecord(encoded: record.encoded)
        #expect(read.labels.count == RecordLimit.labels)
        #expect(read.labels.merging(added) { $1 } == read.labels)
    }
}
