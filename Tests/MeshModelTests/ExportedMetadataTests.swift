// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Testing

@Suite("Labels and annotations that a cluster hands to others")
struct ExportedMetadataTests {
    private func fault(labels: Labels = [:], annotations: Labels = [:]) -> String? {
        do throws(ExportedMetadata.Fault) {
            _ = try ExportedMetadata(labels: labels, annotations: annotations)
            return nil
        } catch {
            return "\(error.isLabel ? "label" : "annotation") \(error.key): \(error.reason)"
        }
    }

    @Test(
        "are as Kubernetes wants them",
        arguments: [
            ("tier", true), ("example.com/Tier_1.a", true),
            (String(repeating: "a", count: 63), true),
            ("", false), ("a/b/c", false), ("/a", false), ("a/", false), ("-a", false),
            ("Example.com/a", false), ("a b", false), ("é", false),
            (String(repeating: "a", count: 64), false),
            (String(repeating: "a", count: 254) + "/a", false),
        ])
    func keys(key: String, isFine: Bool) {
        #expect((fault(labels: [key: "x"]) == nil) == isFine)
        #expect(isQualifiedName(key) == isFine)
    }

    @Test("of labels have short values; those of annotations are any text of 1,024 bytes")
    func values() {
        for value in ["", "a", "A.b_c-9", String(repeating: "a", count: 63)] {
            #expect(fault(labels: ["a": value]) == nil)
        }
        for value in [" ", "a b", "-a", "a-", String(repeating: "a", count: 64)] {
            #expect(fault(labels: ["a": value]) == "label a: has a value that no label can have")
        }
        #expect(fault(annotations: ["Example.com/a": "any \n text, é"]) == nil)
        #expect(fault(annotations: ["a": String(repeating: "é", count: 512)]) == nil)
        #expect(
            fault(annotations: ["a": String(repeating: "é", count: 512) + "x"])
                == "annotation a: is longer than 1024 bytes")
    }

    @Test(
        "never say whose an object is, nor what kubectl wrote",
        arguments: [
            "app.kubernetes.io/managed-by", "weft.io/global",
            "multicluster.kubernetes.io/service-name", "endpointslice.kubernetes.io/managed-by",
            "kubectl.kubernetes.io/last-applied-configuration",
        ])
    func reserved(key: String) {
        #expect(fault(labels: [key: "x"]) == "label \(key): is for Weft alone to write")
        #expect(fault(annotations: [key: "x"]) == "annotation \(key): is for Weft alone to write")
        #expect(fault(labels: ["app.kubernetes.io/name": "x"]) == nil)
    }

    @Test("are at most 64 each, annotations 16 KiB together")
    func amounts() {
        let many = Dictionary(uniqueKeysWithValues: (0..<65).map { ("a\($0)", "") })
        #expect(fault(labels: many) == "label : 65 entries; at most 64 are allowed")
        #expect(fault(annotations: many) == "annotation : 65 entries; at most 64 are allowed")
        let large = String(repeating: "x", count: 1022)
        let full = Dictionary(uniqueKeysWithValues: (10..<26).map { ("\($0)", large) })
        #expect(fault(annotations: full) == nil)
        #expect(
            fault(annotations: full.merging(["a": ""]) { $1 })
                == "annotation : 16385 bytes; at most 16384 are allowed")
    }
}
