// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshLab
import Netlink

/// What users run without a mesh: two nodes on a bridge, a VXLAN device with a fixed peer, plain
/// routes, one routed veth endpoint on each node. Made with iproute2, as a person would.
///
/// Wire format and MTU are those of Weft's overlay: no UDP checksum, 1,450 bytes inside.
struct PlainOverlay {
    /// No lab's: theirs are `weft-LAB-…`.
    private static let prefix = "weftbench-plain-"
    static let serverAddress = "10.98.2.2"

    static func namespacePath(_ name: String) -> String { "/run/netns/\(prefix)\(name)" }

    static func remove() throws {
        for name in try NetworkNamespace.names() where name.hasPrefix(prefix) {
            try NetworkNamespace.delete(named: name)
        }
    }

    static func create() throws {
        _ = try Subprocess(["sh", "-euc", script]).finish()
    }

    private static let script = """
        P=\(prefix)
        ip netns add ${P}underlay
        ip -n ${P}underlay link add br0 type bridge
        ip -n ${P}underlay link set br0 up
        for i in 1 2; do
            ip netns add ${P}node$i
            ip -n ${P}underlay link add n$i type veth peer name eth0 netns ${P}node$i
            ip -n ${P}underlay link set n$i master br0 up
            ip -n ${P}node$i link set lo up
            ip -n ${P}node$i link set eth0 up
            ip -n ${P}node$i address add 172.30.0.$i/24 dev eth0
            ip netns exec ${P}node$i sysctl -qw net.ipv4.ip_forward=1 \
                net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
            ip -n ${P}node$i link add vx0 address 02:00:00:00:00:0$i mtu 1450 type vxlan id 42 \
                local 172.30.0.$i remote 172.30.0.$((3 - i)) dstport 8472 nolearning noudpcsum
            ip -n ${P}node$i link set vx0 up
            ip -n ${P}node$i address add 10.98.$i.1/32 dev vx0
            ip -n ${P}node$i neighbour add 10.98.$((3 - i)).1 lladdr 02:00:00:00:00:0$((3 - i)) \
                dev vx0 nud permanent
            ip -n ${P}node$i route add 10.98.$((3 - i)).0/24 via 10.98.$((3 - i)).1 dev vx0 onlink
            ip netns add ${P}end$i
            ip -n ${P}node$i link add pod address 02:00:00:00:01:0$i mtu 1450 type veth \
                peer name eth0 address 02:00:00:00:02:0$i mtu 1450 netns ${P}end$i
            ip -n ${P}node$i link set pod up
            ip -n ${P}end$i link set lo up
            ip -n ${P}end$i link set eth0 up
            ip -n ${P}end$i address add 10.98.$i.2/32 dev eth0
            ip -n ${P}end$i neighbour add 169.254.1.1 lladdr 02:00:00:00:01:0$i dev eth0 \
                nud permanent
            ip -n ${P}end$i route add default via 169.254.1.1 dev eth0 onlink
            ip -n ${P}node$i neighbour add 10.98.$i.2 lladdr 02:00:00:00:02:0$i dev pod \
                nud permanent
            ip -n ${P}node$i route add 10.98.$i.2/32 dev pod
        done
        """
}
