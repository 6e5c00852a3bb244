// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Yams

/// The part of a kubeconfig file that one context names.
struct Kubeconfig {
    let configuration: KubernetesConfiguration

    /// - Parameters:
    ///   - folder: where its relative paths begin.
    ///   - context: nil: the file's current one.
    init(
        bytes: [UInt8], folder: String, context: String? = nil
    ) throws(KubernetesError) {
        do {
            try ManifestFile.refuseAliasBomb(bytes)
            guard let text = String(validating: bytes, as: UTF8.self),
                let root = try Parser(yaml: text, resolver: .basic, encoding: .utf8).nextRoot()
            else { throw Self.wrong("it is no YAML in UTF-8") }
            configuration = try Self.configuration(
                ManifestField(root: root), folder: folder, context: context)
        } catch let error as KubernetesError {
            throw error
        } catch let fault as ManifestFault {
            throw Self.wrong("line \(fault.line): \(fault.message)")
        } catch let error as YamlError {
            // Its text may quote the line, and the line may hold a key.
            throw Self.wrong("line \(ManifestFault(error, text: bytes).line) isn't valid YAML")
        } catch {
            throw Self.wrong("it can't be parsed")
        }
    }

    /// More contexts, clusters or users than this are no file of one person.
    private static let maximumEntries = 1000

    private static func wrong(_ message: String) -> KubernetesError {
        KubernetesError(.configuration, "kubeconfig: \(message)")
    }

    private static func configuration(
        _ root: ManifestField, folder: String, context: String?
    ) throws -> KubernetesConfiguration {
        guard let name = try context ?? root["current-context"].string(), !name.isEmpty else {
            throw wrong("it has no current-context, and none was named")
        }
        let context = try entry(name, of: root["contexts"], "context")
        let cluster = try entry(
            context["cluster"].requiredString(), of: root["clusters"], "cluster")
        let user = try context["user"].string().map { try entry($0, of: root["users"], "user") }
        var result = KubernetesConfiguration(
            server: try server(cluster),
            authorities: try material(cluster, "certificate-authority", folder: folder),
            credentials: try user.map { try credentials($0, folder: folder) } ?? .none,
            namespace: try context["namespace"].string() ?? "default")
        if let name = try cluster["tls-server-name"].string() {
            try result.prove(as: name)
        }
        return result
    }

    /// What stands under a name in one of the three lists.
    private static func entry(
        _ name: String, of list: ManifestField, _ kind: String
    ) throws -> ManifestField {
        for element in try list.elements(max: maximumEntries)
        where try element["name"].string() == name {
            return try element[kind]
        }
        throw wrong("there is no \(kind) \"\(name)\"")
    }

    private static func server(_ cluster: ManifestField) throws -> String {
        if try cluster["insecure-skip-tls-verify"].bool() == true {
            throw wrong(
                "insecure-skip-tls-verify isn't supported: whoever answered would be believed; "
                    + "give certificate-authority")
        }
        if try cluster["proxy-url"].string() != nil { throw wrong("proxy-url isn't supported") }
        return try cluster["server"].requiredString()
    }

    private static func credentials(
        _ user: ManifestField, folder: String
    ) throws -> KubernetesConfiguration.Credentials {
        for key in ["exec", "auth-provider"] where try !user[key].isNull {
            throw wrong(
                "users with \(key) aren't supported: an agent runs no programs of others; use a "
                    + "service account's token or a client certificate")
        }
        for key in ["username", "password", "as", "as-uid", "as-groups"]
        where try !user[key].isNull {
            throw wrong("users with \(key) aren't supported")
        }
        let chain = try material(user, "client-certificate", folder: folder)
        let key = try material(user, "client-key", folder: folder)
        if let chain, let key { return .certificate(chain: chain, key: key) }
        guard chain == nil, key == nil else {
            throw wrong("client-certificate and client-key go together")
        }
        if let path = try user["tokenFile"].string() {
            return .tokenFile(path: resolved(path, folder))
        }
        return try secret(user["token"]).map { .token($0) } ?? .none
    }

    private static func material(
        _ field: ManifestField, _ key: String, folder: String
    ) throws -> KubernetesConfiguration.Material? {
        if let text = try secret(field["\(key)-data"]) {
            guard let data = Data(base64Encoded: text) else {
                throw wrong("\(key)-data isn't Base64")
            }
            return .inline(Array(data))
        }
        return try field[key].string().map { .file(path: resolved($0, folder)) }
    }

    /// Like ``ManifestField/string()``, but what is wrong is never quoted.
    private static func secret(_ field: ManifestField) throws -> String? {
        do throws(ManifestFault) {
            return try field.string()
        } catch {
            throw wrong("line \(field.line): \(field.path) must be a string in quotes")
        }
    }

    private static func resolved(_ path: String, _ folder: String) -> String {
        path.hasPrefix("/") ? path : "\(folder)/\(path)"
    }
}

extension KubernetesConfiguration {
    /// That of a context of a kubeconfig file.
    ///
    /// - Parameter context: nil: the file's current one.
    /// - Throws: ``KubernetesError`` `.configuration`, also for users who need a program to be run
    ///   (`exec`, `auth-provider`), and for servers that needn't prove who they are.
    public static func kubeconfig(
        path: String, context: String? = nil
    ) throws(KubernetesError) -> KubernetesConfiguration {
        let bytes = try Material.file(path: path).read(as: "kubeconfig")
        let folder = path.split(separator: "/", omittingEmptySubsequences: false).dropLast()
        return try Kubeconfig(
            bytes: bytes, folder: folder.isEmpty ? "." : folder.joined(separator: "/"),
            context: context
        ).configuration
    }
}
