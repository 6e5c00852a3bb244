// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Testing

@testable import MeshPolicy

@Suite("Which clusters a policy means")
struct ScopeTests {
    /// A peer, and whether it means a pod of clusters east (the policy's) and west, under the scope
    /// of the local cluster and under that of all.
    @Test(
        "a selector means the setting's clusters unless it asks for a cluster label",
        arguments: [
            ("{podSelector: {}}", "yn yy"), ("{namespaceSelector: {}}", "yn yy"),
            ("{podSelector: {matchLabels: {io.weft.cluster: west}}}", "ny ny"),
            ("{podSelector: {matchLabels: {io.cilium.k8s.policy.cluster: west}}}", "ny ny"),
            (
                "{podSelector: {matchExpressions: [{key: io.weft.cluster, operator: Exists}]}}",
                "yy yy"
            ),
            (
                "{podSelector: {matchExpressions: [{key: io.weft.cluster, operator: NotIn, values: "
                    + "[west]}]}}", "yn yn"
            ),
            (
                "{namespaceSelector: {matchLabels: {io.weft.cluster: west}}, podSelector: {}}",
                "ny ny"
            ),
            ("{ipBlock: {cidr: 10.0.0.0/8}}", "yy yy"),
        ])
    func scope(_ peer: String, expected: String) throws {
        let answers = try [PolicyScope.localCluster, .allClusters].map { scope in
            let fixture = try PolicyFixture(
                networkPolicy("podSelector: {}\ningress: [{from: [\(peer)]}]"), scope: scope)
            return try ["east", "west"].map {
                try fixture.allows(.ingress, db, .pod(of: $0), at: "10.0.0.1", tcp80) ? "y" : "n"
            }.joined()
        }
        #expect(answers.joined(separator: " ") == expected)
    }

    @Test("no pod can claim to be of another cluster or namespace")
    func claims() throws {
        let fixture = try PolicyFixture(
            networkPolicy(
                "podSelector: {}\ningress: [{from: [{podSelector: {matchLabels: {io.weft.cluster: west}}}]}]"
            ))
        #expect(try !fixture.allows(.ingress, db, .pod(["io.weft.cluster": "west"]), tcp80))
    }

    @Test("one manifest for all clusters applies where its subject's cluster is")
    func subject() throws {
        let east = try PolicyFixture(
            networkPolicy("podSelector: {matchLabels: {io.weft.cluster: east}}"))
        let west = try PolicyFixture(
            networkPolicy("podSelector: {matchLabels: {io.weft.cluster: west}}"))
        #expect(try !east.allows(.ingress, db, web, tcp80))
        #expect(try west.allows(.ingress, db, web, tcp80))
    }
}
