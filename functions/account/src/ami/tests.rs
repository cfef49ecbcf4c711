use cloudupload::job::Job;
use fake_endpoint::{
    Answer, Call, Endpoint,
    ec2::{self, Tags},
};
use serde_json::{Value, json};

use super::*;
use crate::testing::{OTHERS, OURS, job, session_at};

/// An account with an image of the job's AMI name that has these tags, or without one, in which RegisterImage is
/// answered like that.
fn account(
    image: Option<Tags<'static>>,
    register: impl Fn(&Call) -> Answer + Send + 'static,
) -> Endpoint {
    Endpoint::new(move |call| match (call.name.as_str(), image) {
        ("DescribeImages", Some(tags)) => ec2::images(call, &[("ami-1", tags)]),
        ("DescribeImages", None) => ec2::images(call, &[]),
        ("RegisterImage", _) => register(call),
        _ => call.result("<return>true</return>"),
    })
}

fn duplicate(call: &Call) -> Answer {
    let message = "AMI name leap is already in use by AMI ami-1";
    call.refusal(400, "InvalidAMIName.Duplicate", message)
}

async fn register(endpoint: &Endpoint, boot: BootMode) -> Result<AmiId, AmiError> {
    register_for(endpoint, &job(), boot).await
}

async fn register_for(endpoint: &Endpoint, job: &Job, boot: BootMode) -> Result<AmiId, AmiError> {
    let session = session_at(endpoint, job);
    session
        .ami()
        .register(&"snap-1".parse().unwrap(), boot)
        .await
}

/// The RegisterImage call for a job with these wishes in its record, whose disk boots by BIOS and by UEFI.
async fn registered(wishes: Value) -> Call {
    let endpoint = account(None, |call| call.result("<imageId>ami-1</imageId>"));
    let mut job = job();
    job.request.ec2.wishes = serde_json::from_value(wishes).unwrap();
    let ami = register_for(&endpoint, &job, BootMode::UefiPreferred).await;
    assert_eq!(ami.unwrap().as_str(), "ami-1");
    endpoint.calls().remove(0)
}

const TAKEN: &str = "the AMI name 'leap' is taken by ami-1 in this account and region: choose another ami_name, or \
                     deregister that image";

#[tokio::test]
async fn a_name_is_free_unless_another_image_has_it() {
    let cases: [(Option<Tags<'static>>, Option<&str>); 4] = [
        (None, None),
        (Some(&[OURS]), None),
        (Some(&[OTHERS]), Some(TAKEN)),
        (Some(&[]), Some(TAKEN)),
    ];
    for (image, error) in cases {
        let (endpoint, job) = (account(image, duplicate), job());
        let checked = session_at(&endpoint, &job).ami().check_name().await;
        assert_eq!(
            checked.err().map(|error| error.to_string()).as_deref(),
            error
        );
        let call = &endpoint.calls()[0];
        assert_eq!(call.parameter("Owner.1"), "self");
        assert_eq!(call.parameter("Filter.1.Name"), "name");
        assert_eq!(call.parameter("Filter.1.Value.1"), "leap");
        // EC2 shows a disabled image only then (API reference, DescribeImages, `IncludeDisabled`).
        assert_eq!(call.parameter("IncludeDisabled"), "true");
    }
}

#[tokio::test]
async fn an_ami_is_registered_as_linux_images_are() {
    for (boot, mode) in [
        (BootMode::LegacyBios, "legacy-bios"),
        (BootMode::Uefi, "uefi"),
        (BootMode::UefiPreferred, "uefi-preferred"),
    ] {
        let endpoint = account(None, |call| call.result("<imageId>ami-1</imageId>"));
        assert_eq!(register(&endpoint, boot).await.unwrap().as_str(), "ami-1");
        assert_eq!(endpoint.names(), ["RegisterImage"]);
        let call = &endpoint.calls()[0];
        for (name, value) in [
            ("Name", "leap"),
            (
                "Description",
                "leap-ec2.x86_64-15.6.raw.xz from Cloud:Images/leap-ec2",
            ),
            ("Architecture", "x86_64"),
            ("BootMode", mode),
            ("VirtualizationType", "hvm"),
            ("EnaSupport", "true"),
            ("SriovNetSupport", "simple"),
            ("ImdsSupport", "v2.0"),
            ("RootDeviceName", "/dev/sda1"),
            ("BlockDeviceMapping.1.DeviceName", "/dev/sda1"),
            ("BlockDeviceMapping.1.Ebs.SnapshotId", "snap-1"),
            ("BlockDeviceMapping.1.Ebs.DeleteOnTermination", "true"),
            ("BlockDeviceMapping.1.Ebs.VolumeType", "gp3"),
            ("TagSpecification.1.ResourceType", "image"),
            ("TagSpecification.1.Tag.6.Key", OURS.0),
            ("TagSpecification.1.Tag.6.Value", OURS.1),
        ] {
            assert_eq!(call.parameter(name), value, "{name}");
        }
    }
}

#[tokio::test]
async fn an_ami_is_as_its_user_wishes() {
    let tpm = json!({"boot_mode": "uefi", "tpm_support": "v2.0"});
    let device = "/dev/xvda";
    for (wishes, parameters) in [
        (json!({}), vec![("BootMode", "uefi-preferred")]),
        (
            json!({"boot_mode": "legacy-bios"}),
            vec![("BootMode", "legacy-bios")],
        ),
        (tpm, vec![("BootMode", "uefi"), ("TpmSupport", "v2.0")]),
        (json!({"ena_support": false}), vec![("EnaSupport", "false")]),
        (
            json!({"root_device_name": device}),
            vec![
                ("RootDeviceName", device),
                ("BlockDeviceMapping.1.DeviceName", device),
            ],
        ),
        (
            json!({"volume_size": 20}),
            vec![("BlockDeviceMapping.1.Ebs.VolumeSize", "20")],
        ),
        (
            json!({"tags": {"Team": "images", "Name": "mine"}}),
            vec![
                ("Name", "leap"),
                ("TagSpecification.1.Tag.1.Key", "Name"),
                ("TagSpecification.1.Tag.1.Value", "mine"),
                ("TagSpecification.1.Tag.6.Key", OURS.0),
                ("TagSpecification.1.Tag.7.Key", "Team"),
                ("TagSpecification.1.Tag.7.Value", "images"),
            ],
        ),
    ] {
        let call = registered(wishes).await;
        for (name, value) in parameters {
            assert_eq!(call.parameter(name), value, "{name}");
        }
    }
}

#[tokio::test]
async fn what_nobody_wishes_is_not_in_the_call() {
    let encrypted = json!({"encrypted": true, "kms_key_id": "alias/images"});
    for (wishes, parameters) in [
        (
            json!({}),
            ["TpmSupport", "BlockDeviceMapping.1.Ebs.VolumeSize"],
        ),
        // RegisterImage has no value for this.
        (
            json!({"imds_support": "none"}),
            ["ImdsSupport", "TpmSupport"],
        ),
        // The snapshot is encrypted already, and RegisterImage fails if it is told so (API reference, EbsBlockDevice).
        (
            encrypted,
            [
                "BlockDeviceMapping.1.Ebs.Encrypted",
                "BlockDeviceMapping.1.Ebs.KmsKeyId",
            ],
        ),
    ] {
        let call = registered(wishes).await;
        for name in parameters {
            assert!(!call.parameters.contains_key(name), "{name}");
        }
    }
}

#[tokio::test]
async fn a_duplicate_is_our_own_or_takes_the_name() {
    let endpoint = account(Some(&[OURS]), duplicate);
    assert_eq!(
        register(&endpoint, BootMode::Uefi).await.unwrap().as_str(),
        "ami-1"
    );
    assert_eq!(endpoint.names(), ["RegisterImage", "DescribeImages"]);

    let endpoint = account(Some(&[OTHERS]), duplicate);
    let error = register(&endpoint, BootMode::Uefi).await.unwrap_err();
    assert_eq!(error.to_string(), TAKEN);
}

#[tokio::test]
async fn a_duplicate_that_is_not_to_be_seen_is_worth_another_try() {
    let endpoint = account(None, duplicate);
    match register(&endpoint, BootMode::Uefi).await {
        Err(AmiError::Aws(failure)) => {
            assert!(failure.transient && failure.has_code("InvalidAMIName.Duplicate"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_refused_registration_is_told_and_no_image_is_looked_for() {
    let endpoint = account(None, |call| {
        call.refusal(403, "UnauthorizedOperation", "no")
    });
    let error = register(&endpoint, BootMode::Uefi).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "ec2:RegisterImage failed: UnauthorizedOperation: no"
    );
    assert_eq!(endpoint.names(), ["RegisterImage"]);
}

#[tokio::test]
async fn only_the_job_s_own_ami_is_deregistered() {
    let cases: [(Option<Tags<'static>>, bool); 3] = [
        (None, false),
        (Some(&[OTHERS]), false),
        (Some(&[OURS]), true),
    ];
    for (image, removes) in cases {
        let (endpoint, job) = (account(image, duplicate), job());
        session_at(&endpoint, &job).ami().remove().await.unwrap();
        let removed = endpoint.calls_of("DeregisterImage");
        let removed: Vec<&str> = removed
            .iter()
            .map(|call| call.parameter("ImageId"))
            .collect();
        assert_eq!(removed, ["ami-1"][..usize::from(removes)]);
    }
}

#[tokio::test]
async fn an_ami_that_is_gone_already_is_removed() {
    for (code, gone) in [
        ("InvalidAMIID.NotFound", true),
        ("InvalidAMIID.Unavailable", true),
        ("UnauthorizedOperation", false),
    ] {
        let endpoint = Endpoint::new(move |call| match call.name.as_str() {
            "DescribeImages" => ec2::images(call, &[("ami-1", &[OURS])]),
            _ => call.refusal(400, code, "no"),
        });
        let job = job();
        let removed = session_at(&endpoint, &job).ami().remove().await;
        assert_eq!(removed.is_ok(), gone, "{code}");
    }
}
