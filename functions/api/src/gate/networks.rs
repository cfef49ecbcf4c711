//! The networks from which calls are taken.

use std::{net::IpAddr, str::FromStr};

use ipnet::IpNet;

/// Networks; all of them where none is named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    pub fn have(&self, ip: Option<IpAddr>) -> bool {
        let Self(networks) = self;
        networks.is_empty() || ip.is_some_and(|ip| networks.iter().any(|net| net.contains(&ip)))
    }
}

impl FromStr for Networks {
    type Err = String;

    /// Reads networks such as `192.0.2.0/24` or `2001:db8::/32`, and single addresses, with commas between them.
    fn from_str(text: &str) -> Result<Self, String> {
        let network = |text: &str| {
            let single = |_| text.parse::<IpAddr>().map(IpNet::from);
            let network = text.parse::<IpNet>().or_else(single);
            network.map_err(|_| format!("'{text}' is not a network such as 192.0.2.0/24"))
        };
        let networks = text.split(',').map(str::trim).map(network);
        Ok(Self(networks.collect::<Result<_, _>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn only_named_networks_may_call() {
        let networks: Networks = "192.0.2.0/24, 2001:db8::/32,198.51.100.7".parse().unwrap();
        for inside in ["192.0.2.255", "2001:db8:1::1", "198.51.100.7"] {
            assert!(networks.have(ip(inside)), "{inside}");
        }
        for outside in ["192.0.3.0", "2001:db9::", "198.51.100.8"] {
            assert!(!networks.have(ip(outside)), "{outside}");
        }
        assert!(!networks.have(None));
    }

    #[test]
    fn everybody_may_call_where_no_network_is_named() {
        assert!(Networks::default().have(ip("192.0.2.1")));
        assert!(Networks::default().have(None));
    }

    #[test]
    fn what_is_no_network_is_named() {
        assert_eq!(
            "192.0.2.0/24,example.com".parse::<Networks>(),
            Err("'example.com' is not a network such as 192.0.2.0/24".to_owned())
        );
        assert!("192.0.2.0/33".parse::<Networks>().is_err());
        assert!("".parse::<Networks>().is_err());
    }
}
