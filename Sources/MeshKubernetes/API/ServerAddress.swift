// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

extension KubernetesConfiguration {
    /// Whether connections are encrypted.
    var isSecure: Bool { server.hasPrefix("https://") }

    /// Connects to where ``server`` says, and asks for a certificate of `name`.
    mutating func prove(as name: String) throws(KubernetesError) {
        guard let url = URLComponents(string: server), let host = url.host, !host.isEmpty else {
            throw KubernetesError(.configuration, "\(server) isn't the address of a server")
        }
        var named = url
        named.host = name
        guard let text = named.string else {
            throw KubernetesError(.configuration, "\(name) isn't the name of a server")
        }
        server = text
        address = host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host
    }

    /// ``server`` without a slash at its end.
    ///
    /// - Throws: ``KubernetesError`` unless it is `https`, or `http` on this machine: a token must
    ///   not go over a wire in the clear.
    func checkedServer() throws(KubernetesError) -> String {
        guard let url = URLComponents(string: server), let host = url.host, !host.isEmpty,
            url.query == nil, url.fragment == nil, url.user == nil
        else { throw KubernetesError(.configuration, "\(server) isn't the address of a server") }
        let isLocal = ["127.0.0.1", "[::1]", "::1", "localhost"].contains(host)
        guard url.scheme == "https" || url.scheme == "http" && isLocal else {
            throw KubernetesError(
                .configuration, "\(server) must begin with https://, or be on this machine")
        }
        var text = server
        while text.hasSuffix("/") { text.removeLast() }
        return text
    }
}

extension KubernetesConfiguration {
    /// Of ``server``.
    var host: String? { URLComponents(string: server)?.host }
}
