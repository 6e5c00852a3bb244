// SPDX-License-Identifier: Apache-2.0

import Foundation
import MeshModel
import Testing
import X509

@testable import MeshTrust

@Suite("What a cluster says of itself")
struct JoiningDescriptionTests {
    func charter(
        _ pods: [String] = ["10.0.0.0/8"], services: [String]? = nil, namespaces: [String]? = nil,
        endpoints: UInt32? = nil
    ) -> ClusterCharter? {
        var quota = ClusterCharter.Quota()
        quota.endpoints = endpoints
        return ClusterCharter(
            podPrefixes: pods.map { Prefix($0)! }, serviceCIDRs: services?.map { Prefix($0)! },
            namespaces: namespaces, quota: quota)
    }

    @Test("less in any respect is within, more in any isn't")
    func within() throws {
        let full = try #require(
            charter(
                services: ["10.96.0.0/12"], namespaces: ["a*", "b", "!ab"], endpoints: 100))
        let narrower = [
            charter(
                ["10.1.0.0/16", "10.2.0.0/16"], services: ["10.96.0.0/12"],
                namespaces: ["a*", "b", "!ab"], endpoints: 100),
            charter(services: [], namespaces: ["a*", "b", "!ab"], endpoints: 100),
            charter(services: ["10.97.0.0/16"], namespaces: ["b", "!ab"], endpoints: 99),
            charter(services: ["10.96.0.0/12"], namespaces: ["a*", "!ab", "!ac"], endpoints: 1),
        ]
        let wider = [
            charter(
                ["10.0.0.0/7"], services: ["10.96.0.0/12"], namespaces: ["b", "!ab"], endpoints: 1),
            charter(services: nil, namespaces: ["b", "!ab"], endpoints: 1),
            charter(services: ["10.0.0.0/8"], namespaces: ["b", "!ab"], endpoints: 1),
            charter(services: [], namespaces: nil, endpoints: 1),
            charter(services: [], namespaces: ["b"], endpoints: 1),
            charter(services: [], namespaces: ["c", "!ab"], endpoints: 1),
            charter(services: [], namespaces: ["b", "!ab"], endpoints: 101),
            charter(services: [], namespaces: ["b", "!ab"], endpoints: nil),
        ]
        #expect(full.isWithin(full))
        for other in narrower { #expect(try #require(other).isWithin(full)) }
        for other in wider { #expect(!(try #require(other)).isWithin(full)) }
        let open = try #require(charter())
        #expect(full.podPrefixes == open.podPrefixes)
        // What the importer grants by default isn't known here.
        #expect(!(try #require(charter(endpoints: 1))).isWithin(open))
    }

    @Test(
        "patterns that no file could hold are refused",
        arguments: [
            [""], ["!"], ["!a"], ["a", "a"], ["a", "!a"], ["*a"], ["a**"], ["a b"], ["a\n"],
            ["\"a"], ["A"], [],
        ])
    func patterns(namespaces: [String]) { #expect(charter(namespaces: namespaces) == nil) }

    @Test("bounds hold on both ways in: made here, and read from a stranger")
    func bounds() throws {
        let authority = try TestAuthority("east")
        let good = try authority.description(1)
        #expect(charter([]) == nil)
        #expect(charter(Array(repeating: "10.0.0.0/8", count: 65)) == nil)
        #expect(throws: TrustError.self) {
            try ClusterDescription(
                id: good.id, bundle: good.bundle, addresses: [], charter: good.charter)
        }
        #expect(throws: TrustError.self) {
            try ClusterDescription(
                id: good.id, bundle: good.bundle,
                addresses: Array(repeating: good.addresses[0], count: 9), charter: good.charter)
        }
        var writer = ByteWriter()
        try good.encode(into: &writer)
        var reader = ByteReader(writer.bytes)
        #expect(try ClusterDescription(from: &reader) == good && reader.isAtEnd)
        for length in writer.bytes.indices {
            var reader = ByteReader(writer.bytes.prefix(length))
            #expect(throws: DecodingFault.self) { try ClusterDescription(from: &reader) }
        }
        // Another cluster's root is no root of this one.
        var mixed = ByteWriter()
        mixed.write(short: "west")
        mixed.write(raw: writer.bytes.dropFirst(5))
        reader = ByteReader(mixed.bytes)
        #expect(throws: DecodingFault.self) { try ClusterDescription(from: &reader) }
    }

    @Test("what a later version appends is signed, kept and passed on")
    func laterFields() throws {
        let authority = try TestAuthority("east")
        let announcement = try authority.announcement(1)
        let bytes = announcement.bytes + [1, 2, 3]
        var writer = ByteWriter()
        writer.write(field: bytes)
        let signature = try authority.signers[0](Array(Announcement.context.utf8) + bytes)
        writer.write(list: [signature]) { $0.write(field: $1) }
        let read = try SignedAnnouncement(encoded: writer.bytes)
        #expect(read.content == announcement.content && read != announcement)
        #expect(read.isSigned(by: try authority.bundle, verifyStatement))
        #expect(read.encoded == writer.bytes)
        #expect(
            try copied(MeshStatement.announcement(read)).encoded.dropFirst() == writer.bytes[...])
    }

    @Test(
        "addresses are written as in a peer's file",
        arguments: [
            "192.0.2.1:4790", "[2001:db8::1]:1", "x:1", "192.0.2.1", "192.0.2.1:0", "::1:1",
            "[192.0.2.1]:1", ":1", "",
        ])
    func addresses(text: String) {
        let isGood = text.contains("2.1:4790") || text.contains("db8")
        #expect(ClusterAddress(text)?.description == (isGood ? text : nil))
    }
}
