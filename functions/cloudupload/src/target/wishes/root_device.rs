use crate::names::checked_string;

checked_string!(
    /// The name of the AMI's root device: `root_device_name`. Linux AMIs have `/dev/sda1` or `/dev/xvda` (EC2 User
    /// Guide, "Device names for volumes on Amazon EC2 instances").
    RootDevice, check => BadRootDevice
);

/// Text that is no root device's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "root_device_name '{0}' is illegal: EC2 takes names such as /dev/sda1 and /dev/xvda, whatever the instance calls \
     the device"
)]
pub struct BadRootDevice(String);

impl Default for RootDevice {
    /// As ec2uploadimg gave it.
    fn default() -> Self {
        Self("/dev/sda1".to_owned())
    }
}

fn check(text: &str) -> Result<(), BadRootDevice> {
    let device = ["/dev/sd", "/dev/xvd"].map(|prefix| text.strip_prefix(prefix));
    let legal = device.into_iter().flatten().any(|device| {
        let partition = device.strip_prefix(|letter: char| letter.is_ascii_lowercase());
        partition.is_some_and(is_partition)
    });
    match legal {
        true => Ok(()),
        false => Err(BadRootDevice(text.chars().take(64).collect())),
    }
}

/// Nothing, or 1 to 15, as on the page named above.
fn is_partition(text: &str) -> bool {
    text.is_empty() || (1..=15).any(|number: u8| number.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_device_has_a_name_as_ec2_has_it() {
        assert_eq!(
            RootDevice::default().as_str().parse(),
            Ok(RootDevice::default())
        );
        for name in [
            "/dev/sda1",
            "/dev/sda",
            "/dev/xvda",
            "/dev/xvda1",
            "/dev/sdz15",
        ] {
            name.parse::<RootDevice>().expect(name);
        }
        for name in [
            "sda1",
            "/dev/",
            "/dev/sd",
            "/dev/sdA",
            "/dev/sd1",
            "/dev/sda0",
            "/dev/sda16",
            "/dev/sda01",
            "/dev/sda1 ",
            "/dev/xvdaa",
            "/dev/nvme0n1",
            "/dev/../sda1",
        ] {
            assert_eq!(
                name.parse::<RootDevice>().unwrap_err().to_string(),
                format!(
                    "root_device_name '{name}' is illegal: EC2 takes names such as /dev/sda1 and /dev/xvda, whatever \
                     the instance calls the device"
                )
            );
        }
    }
}
