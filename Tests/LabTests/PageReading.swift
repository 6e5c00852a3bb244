// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc
import MeshAdmin
import Netlink
import Testing

@testable import MeshLab

/// What an agent's page answers on its node's loopback.
func page(of node: LabPlan.Node, _ path: String) throws -> String {
    let namespace = try NetworkNamespace(named: node.namespace)
    let descriptor = try namespace.run { socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0) }
    defer { close(descriptor) }
    var timeout = timeval(tv_sec: 5, tv_usec: 0)
    setsockopt(
        descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    let target = try LoadTarget(url: "http://127.0.0.1:4793\(path)")
    try #require(target.withSocketAddress { connect(descriptor, $0, $1) } == 0)
    let question = "GET \(path) HTTP/1.1\r\nHost: localhost:4793\r\nConnection: close\r\n\r\n"
    try #require(send(descriptor, question, question.utf8.count, 0) == question.utf8.count)
    var answer: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while case let count = recv(descriptor, &chunk, chunk.count, 0), count > 0 {
        answer += chunk[..<count]
    }
    let text = String(decoding: answer, as: UTF8.self)
    try #require(text.hasPrefix("HTTP/1.1 200 OK\r\n"), "\(text.prefix(200))")
    let head = try #require(text.firstRange(of: "\r\n\r\n"))
    return String(text[head.upperBound...])
}

func pageState(of node: LabPlan.Node) throws -> PageState {
    try JSONDecoder().decode(PageState.self, from: Data(try page(of: node, "/v1/page").utf8))
}
