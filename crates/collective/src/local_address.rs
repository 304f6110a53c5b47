//! The address by which the other processes reach this one.
//!
//! Gloo's own choice is the address of this machine's name. Where the name resolves to 127.0.1.1, as on many Debian
//! machines, or doesn't resolve, the processes of two machines then don't find each other. Here it is the address that
//! this machine uses to reach the store, which the others reach, too.

use std::net::{IpAddr, ToSocketAddrs, UdpSocket};

use torch_ext::GlooAddress;

use crate::card::host_name;

/// The variable by which people name a network interface, for Gloo in PyTorch, too.
const INTERFACE: &str = "GLOO_SOCKET_IFNAME";

/// An address and how it is described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalAddress {
    pub(crate) address: GlooAddress,
    pub(crate) text: String,
    pub(crate) is_loopback: bool,
}

impl LocalAddress {
    /// The interface that [`INTERFACE`] names, or the address that this machine uses to reach `host:port`.
    pub(crate) fn towards(host: &str, port: u16) -> std::io::Result<Self> {
        let interface = std::env::var(INTERFACE).ok().filter(|name| !name.is_empty());
        if let Some(name) = interface {
            // Gloo takes one; PyTorch's own start takes a list, and uses all.
            let name = name.split(',').next().unwrap_or_default().to_owned();
            let (text, is_loopback) = (format!("interface {name}"), name == "lo");
            return Ok(Self { address: GlooAddress::Interface(name), text, is_loopback });
        }
        let address = route_to(host, port)?;
        Ok(Self {
            address: GlooAddress::Host(address.to_string()),
            text: address.to_string(),
            is_loopback: address.is_loopback(),
        })
    }
}

/// What keeps processes on other machines from reaching this one by its name, if anything does.
pub fn host_name_note() -> Option<String> {
    let host = host_name();
    let addresses: Vec<IpAddr> = match (host.as_str(), 0).to_socket_addrs() {
        Ok(found) => found.map(|address| address.ip()).collect(),
        Err(_) => Vec::new(),
    };
    let what = match addresses.iter().find(|address| address.is_loopback()) {
        Some(address) => format!("means {address}, which only this machine reaches"),
        None if addresses.is_empty() => "can't be resolved".to_owned(),
        None => return None,
    };
    Some(format!(
        "this machine's name, {host}, {what}: to train on several machines with rank 0 here, set MASTER_ADDR to the address \
         that the others reach (hint: /etc/hosts or the name server decides what a name means; GLOO_SOCKET_IFNAME names a \
         network interface)"
    ))
}

/// The local address of packets to `host`. No packet is sent: connecting a UDP socket only looks up the route.
fn route_to(host: &str, port: u16) -> std::io::Result<IpAddr> {
    let mut last = std::io::Error::other(format!("{host} has no address"));
    // The first address is the one that the store's client tries first.
    for target in (host, port).to_socket_addrs()? {
        let any = if target.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let local = UdpSocket::bind(any).and_then(|socket| {
            socket.connect(target)?;
            socket.local_addr()
        });
        match local {
            Ok(local) => return Ok(local.ip()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_this_machine_is_loopback() {
        let found = LocalAddress::towards("127.0.0.1", 1).unwrap();
        assert_eq!(found.address, GlooAddress::Host("127.0.0.1".to_owned()));
        assert!(found.is_loopback);
    }

    #[test]
    fn the_name_of_this_machine_is_noted_if_others_can_not_use_it() {
        let note = host_name_note();
        let reachable =
            (host_name().as_str(), 0).to_socket_addrs().is_ok_and(|mut found| found.all(|a| !a.ip().is_loopback()));
        assert_eq!(note.is_none(), reachable, "{note:?}");
    }

    #[test]
    fn a_name_without_address_is_an_error() {
        assert!(LocalAddress::towards("no-such-host.invalid", 1).is_err());
    }
}
