// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MeshKubernetes

@Suite("What a server's refusals mean")
struct KubernetesErrorTests {
    @Test(
        "each recorded refusal is of its kind",
        arguments: [
            ("unauthorized-401.http", KubernetesError.Code.unauthorized),
            ("forbidden-403.http", .forbidden), ("notfound-404.http", .notFound),
            ("list-missing-crd-404.http", .notFound), ("lease-create-409.http", .alreadyExists),
            ("lease-conflict-409.http", .conflict), ("list-continue-expired-410.http", .expired),
            ("list-exact-too-old-410.http", .expired), ("lease-invalid-422.http", .invalid),
            ("malformed-400.http", .invalid), ("get-node-protobuf-refused.http", .invalid),
        ])
    func recorded(name: String, code: KubernetesError.Code) throws {
        let recording = try Recording(name)
        let error = KubernetesError(status: recording.status, body: recording.body)
        #expect(error.code == code)
        #expect(error.status == recording.status)
        #expect(!error.message.isEmpty && error.message.utf8.count <= 256)
    }

    @Test("a server that wants to be left alone is obeyed, within ten minutes")
    func retryAfter() {
        #expect(KubernetesError(status: 429, body: [], retryAfter: "7").retryAfter == .seconds(7))
        #expect(
            KubernetesError(status: 503, body: [], retryAfter: "99999").retryAfter == .seconds(600))
        #expect(KubernetesError(status: 429, body: [], retryAfter: "-1").retryAfter == nil)
        #expect(KubernetesError(status: 429, body: [], retryAfter: "soon").retryAfter == nil)
    }

    @Test("messages are one printable line")
    func lines() {
        let error = KubernetesError(
            .server, "a\nb\u{1b}[31m\u{85}" + String(repeating: "é", count: 999))
        #expect(error.message.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0 != "\u{85}" })
        #expect(error.message.utf8.count <= 256)
    }
}
