// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Testing

@testable import MeshAgent

@Suite("Numbers for labels")
struct IdentityAllocatorTests {
    private var allocator = IdentityAllocator(cluster: cluster(1))

    @Test("equal labels share a number, others get the next one from 256 on")
    mutating func sharing() {
        #expect(allocator.identity(for: ["app": "a"]) == identity(256))
        #expect(allocator.identity(for: ["app": "b"]) == identity(257))
        #expect(allocator.identity(for: ["app": "a"]) == identity(256))
        #expect(allocator.identity(for: ["app": "a", "tier": "x"]) == identity(258))
    }

    @Test("a new publisher adopts numbers that exist and steps around them")
    mutating func adoption() {
        #expect(allocator.identity(for: ["app": "b"], claimed: identity(257)) == identity(257))
        #expect(allocator.identity(for: ["app": "a"]) == identity(256))
        #expect(allocator.identity(for: ["app": "c"]) == identity(258))
        #expect(allocator.identity(for: ["app": "b"]) == identity(257))
    }

    @Test(
        "a claim that isn't the cluster's to make is not followed",
        arguments: [
            identity(300, in: 2), identity(255), identity(1), Identity(rawValue: 0), .world,
        ])
    mutating func foreignClaim(claimed: Identity) {
        #expect(allocator.identity(for: ["app": "a"], claimed: claimed) == identity(256))
    }

    @Test("a number has one owner: the first who claims it")
    mutating func takenClaim() {
        #expect(allocator.identity(for: ["app": "a"], claimed: identity(400)) == identity(400))
        #expect(allocator.identity(for: ["app": "b"], claimed: identity(400)) == identity(256))
        // Known labels keep their number, whatever is claimed for them.
        #expect(allocator.identity(for: ["app": "a"], claimed: identity(401)) == identity(400))
    }

    @Test("when all numbers are taken there is none")
    func exhaustion() {
        var allocator = IdentityAllocator(cluster: cluster(1), last: 258)
        #expect(allocator.identity(for: ["n": "2"], claimed: identity(257)) == identity(257))
        let numbers = (0..<4).map { allocator.identity(for: ["n": "\($0)"]) }
        #expect(numbers == [identity(256), identity(258), identity(257), nil])
        #expect(allocator.identity(for: ["n": "1"]) == identity(258))
    }

    @Test("replicas of a workload have the same labels, in another namespace or cluster others")
    func replicas() {
        let name = ClusterName(rawValue: "north")!
        func labels(_ more: Labels) -> Labels {
            let record = endpoint(
                "p", on: "a", "10.1.0.1", labels: ["app": "echo"].merging(more) { $1 })
            return identityLabels(of: record, cluster: name)
        }
        let expected = [
            "app": "echo", "io.kubernetes.pod.namespace": "default", "io.weft.cluster": "north",
        ]
        #expect(labels([:]) == expected)
        for key in [
            "pod-template-hash", "controller-revision-hash", "statefulset.kubernetes.io/pod-name",
            "apps.kubernetes.io/pod-index",
        ] {
            #expect(labels([key: "5d8"]) == expected, "\(key)")
        }
        // A pod can't give itself another namespace or cluster.
        #expect(labels(["io.kubernetes.pod.namespace": "kube-system"]) == expected)
        #expect(labels(["io.weft.cluster": "south"]) == expected)
    }

    @Test("an endpoint with as many labels as there may be still gets a record that can be read")
    func manyLabels() throws {
        let labels = Dictionary(
            uniqueKeysWithValues: (0..<RecordLimit.labels).map { ("label-\($0)", "x") })
        let record = endpoint("p", on: "a", "10.1.0.1", labels: labels)
        let identityRecord = IdentityRecord(
            identity: identity(256),
            labels: identityLabels(of: record, cluster: ClusterName(rawValue: "north")!))
        let read = try IdentityRecord(encoded: identityRecord.encoded)
        #expect(read.labels["io.kubernetes.pod.namespace"] == "default")
        #expect(read.labels["io.weft.cluster"] == "north")
    }
}
