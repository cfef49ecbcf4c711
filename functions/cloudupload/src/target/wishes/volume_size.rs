use serde::{Deserialize, Serialize};

/// The size of the instances' root volume in GiB: `volume_size`. It may be larger than the disk, which the first boot
/// then grows into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "i32")]
pub struct VolumeSize(i32);

/// "gp3: 1 - 65,536 GiB" (EC2 API reference, EbsBlockDevice, `VolumeSize`).
const MAX_GIB: i32 = 65_536;

const GIB: u64 = 1 << 30;

/// A size that no gp3 volume can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("volume_size {0} is out of range: a gp3 volume has 1 to {MAX_GIB} GiB")]
pub struct BadVolumeSize(u64);

/// A volume that the disk does not fit into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "volume_size {} is too small: the disk has {disk} GiB. Give at least that, or leave volume_size out", .wished.0
)]
pub struct VolumeTooSmall {
    wished: VolumeSize,
    disk: u64,
}

impl VolumeSize {
    pub fn gib(self) -> i32 {
        self.0
    }

    /// Fails if a disk of so many bytes is larger. A snapshot has whole GiB.
    pub(in crate::target) fn check(self, disk_bytes: u64) -> Result<(), VolumeTooSmall> {
        let disk = disk_bytes.div_ceil(GIB);
        match u64::from(self.0.unsigned_abs()) < disk {
            true => Err(VolumeTooSmall { wished: self, disk }),
            false => Ok(()),
        }
    }
}

impl TryFrom<u64> for VolumeSize {
    type Error = BadVolumeSize;

    fn try_from(gib: u64) -> Result<Self, BadVolumeSize> {
        match i32::try_from(gib) {
            Ok(gib @ 1..=MAX_GIB) => Ok(Self(gib)),
            _ => Err(BadVolumeSize(gib)),
        }
    }
}

impl From<VolumeSize> for i32 {
    fn from(size: VolumeSize) -> i32 {
        size.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_size_is_one_that_gp3_has() {
        for (gib, size) in [(1, 1), (20, 20), (65_536, 65_536)] {
            assert_eq!(VolumeSize::try_from(gib).map(VolumeSize::gib), Ok(size));
        }
        for gib in [0, 65_537, 1 << 32, u64::MAX] {
            assert_eq!(
                VolumeSize::try_from(gib).unwrap_err().to_string(),
                format!("volume_size {gib} is out of range: a gp3 volume has 1 to 65536 GiB")
            );
        }
    }

    #[test]
    fn a_disk_that_does_not_fit_is_named() {
        let error = VolumeSize(8).check(8 * GIB + 1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "volume_size 8 is too small: the disk has 9 GiB. Give at least that, or leave volume_size out"
        );
    }

    proptest! {
        #[test]
        fn a_disk_fits_if_it_has_no_more_bytes(gib in 1..=MAX_GIB, bytes in 0..=65_537 * GIB) {
            let fits = VolumeSize(gib).check(bytes).is_ok();
            prop_assert_eq!(fits, i128::from(bytes) <= i128::from(gib) * i128::from(GIB));
        }
    }
}
