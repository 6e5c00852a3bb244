// SPDX-License-Identifier: Apache-2.0

import Logging
public import MeshKubernetes

extension APIServerDouble {
    /// Serves a double on loopback, in silence, while `body` runs.
    ///
    /// - Parameter tls: nil serves plain HTTP.
    public static func serve(
        _ state: DoubleState = DoubleState(), tls: DoubleCertificate? = nil,
        bookmarkInterval: Duration = .seconds(60),
        while body: (APIServerDouble, KubernetesConfiguration) async throws -> Void
    ) async throws {
        var configuration = APIServerDouble.Configuration()
        configuration.tls = tls?.configuration
        configuration.bookmarkInterval = bookmarkInterval
        var logger = Logger(label: "double")
        logger.logLevel = .critical
        let server = APIServerDouble(state, configuration: configuration, logger: logger)
        let (ports, listening) = AsyncStream.makeStream(of: Int.self)
        let running = Task {
            defer { listening.finish() }
            try await server.run { listening.yield($0) }
        }
        defer { running.cancel() }
        guard let port = await ports.first(where: { _ in true }) else {
            return try await running.value  // why it doesn't listen
        }
        let scheme = tls == nil ? "http" : "https"
        try await body(
            server,
            KubernetesConfiguration(
                server: "\(scheme)://127.0.0.1:\(port)",
                authorities: tls.map { .inline(Array($0.pem.utf8)) }, credentials: .none))
    }
}
