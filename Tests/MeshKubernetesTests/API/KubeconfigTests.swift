// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshSimulation
import Testing

@testable import MeshKubernetes

@Suite("Where the API server is, and who asks")
struct KubeconfigTests {
    private static let text = """
        apiVersion: v1
        kind: Config
        current-context: main
        contexts:
        - {name: main, context: {cluster: prod, user: agent, namespace: weft}}
        - {name: plain, context: {cluster: prod, user: bearer}}
        - {name: files, context: {cluster: files, user: files}}
        clusters:
        - name: prod
          cluster:
            server: https://api.example.com:6443/base/
            certificate-authority-data: UEVN
            tls-server-name: kubernetes
        - {name: files, cluster: {server: "https://[fd00::1]:6443", certificate-authority: ca.crt}}
        users:
        - {name: agent, user: {client-certificate-data: Q0VSVA==, client-key-data: S0VZ}}
        - {name: bearer, user: {token: "s3cret"}}
        - {name: files, user: {tokenFile: /run/token}}
        """

    private func read(
        _ text: String, context: String? = nil
    ) throws -> KubernetesConfiguration {
        try Kubeconfig(bytes: Array(text.utf8), folder: "/etc/kube", context: context).configuration
    }

    @Test("a context names a cluster, its CA, a user and a namespace")
    func contexts() throws {
        let main = try read(Self.text)
        #expect(main.server == "https://kubernetes:6443/base/")
        #expect(main.address == "api.example.com")
        #expect(try main.checkedServer() == "https://kubernetes:6443/base")
        #expect(main.authorities == .inline(Array("PEM".utf8)))
        #expect(main.namespace == "weft")
        guard case .certificate(.inline(let chain), .inline(let key)) = main.credentials else {
            throw Unreadable("no certificate")
        }
        #expect(chain == Array("CERT".utf8) && key == Array("KEY".utf8))
        guard case .token(let token) = try read(Self.text, context: "plain").credentials else {
            throw Unreadable("no token")
        }
        #expect(token == "s3cret")
        let files = try read(Self.text, context: "files")
        #expect(files.authorities == .file(path: "/etc/kube/ca.crt"))
        guard case .tokenFile(path: "/run/token") = files.credentials else {
            throw Unreadable("no token file")
        }
    }

    @Test(
        "what can't be used is refused with the reason, and secrets aren't quoted",
        arguments: [
            ("token: \"s3cret\"", "exec: {command: aws}", "users with exec aren't supported"),
            ("token: \"s3cret\"", "auth-provider: {name: oidc}", "auth-provider aren't supported"),
            ("token: \"s3cret\"", "username: me", "users with username aren't supported"),
            ("token: \"s3cret\"", "client-key-data: S0VZ", "go together"),
            ("token: \"s3cret\"", "token: 12345678", "must be a string in quotes"),
            ("token: \"s3cret\"", "token: [s3cret]", "must be a string in quotes"),
            ("token: \"s3cret\"", "client-certificate-data: \"%%\"", "isn't Base64"),
            ("name: bearer", "name: somebody", "there is no user \"bearer\""),
            ("tls-server-name: kubernetes", "insecure-skip-tls-verify: true", "isn't supported"),
            ("tls-server-name: kubernetes", "proxy-url: http://p", "proxy-url isn't supported"),
            ("clusters:", "clusters: [", "line"),
            ("server: https://api", "other: https://api", "is missing"),
        ])
    func refusals(original: String, replacement: String, reason: String) throws {
        let text = Self.text.replacing(original, with: replacement)
        #expect(text != Self.text)
        do {
            _ = try read(text, context: "plain")
            Issue.record("accepted")
        } catch let error as KubernetesError {
            #expect(error.code == .configuration)
            #expect(error.message.contains(reason))
            #expect(!error.message.contains("s3cret") && !error.message.contains("12345678"))
        }
    }

    @Test(
        "a token never goes over a wire in the clear",
        arguments: [
            ("https://10.0.0.1", true), ("http://127.0.0.1:8001", true), ("http://[::1]:1", true),
            ("http://10.0.0.1", false), ("ftp://10.0.0.1", false), ("10.0.0.1:6443", false),
            ("https://", false), ("https://user@host", false), ("https://host?x=1", false),
        ])
    func servers(server: String, isAccepted: Bool) {
        let configuration = KubernetesConfiguration(
            server: server, authorities: nil, credentials: .none)
        #expect(((try? configuration.checkedServer()) != nil) == isAccepted)
    }

    @Test("a pod finds its server in the environment, its token and its CA in files")
    func inCluster() throws {
        let folder = TemporaryFolder()
        let environment = ["KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"]
        #expect(throws: KubernetesError.self) {
            try KubernetesConfiguration.inCluster(environment: environment, folder: folder.path)
        }
        for (name, text) in [("token", "abc\n"), ("ca.crt", "PEM"), ("namespace", "weft\n")] {
            folder.write(name, text)
        }
        let found = try KubernetesConfiguration.inCluster(
            environment: environment, folder: folder.path)
        #expect(found.server == "https://[fd00::1]:443")
        #expect(found.namespace == "weft")
        #expect(throws: KubernetesError.self) {
            try KubernetesConfiguration.inCluster(environment: [:], folder: folder.path)
        }
    }

    @Test("a token file is read again when its time is over or the server refused it")
    func tokens() throws {
        let folder = TemporaryFolder()
        folder.write("token", " first \n")
        let source = TokenSource(.tokenFile(path: "\(folder.path)/token"))
        #expect(try source.token(at: .zero) == "first")
        folder.write("token", "second")
        #expect(try source.token(at: .zero + .seconds(29)) == "first")
        #expect(try source.token(at: .zero + .seconds(31)) == "second")
        folder.write("token", "third")
        source.refuse()
        #expect(try source.token(at: .zero + .seconds(32)) == "third")
        folder.write("token", "")
        #expect(try source.token(at: .zero + .seconds(99)) == "third")
        #expect(throws: KubernetesError.self) {
            try TokenSource(.token("a\r\nX-Other: b")).token(at: .zero)
        }
    }

    @Test("5,000 mutations of a kubeconfig are read or refused, and never quoted")
    func mutations() throws {
        var generator = SeededGenerator(seed: 9)
        var refused = 0
        for _ in 0..<5000 {
            var bytes = Array(Self.text.utf8)
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                bytes.mutate(using: &generator)
            }
            do throws(KubernetesError) {
                _ = try Kubeconfig(bytes: bytes, folder: "/")
            } catch {
                refused += 1
                #expect(error.code == .configuration)
                #expect(!error.message.contains("s3cret"))
            }
        }
        #expect(refused > 500 && refused < 4800)
    }
}
