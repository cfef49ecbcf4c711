//! The JSON body of a create call. What is accepted is what the body says, and comes back from the job's record.

#![no_main]

use cloudupload::{
    names::Arch,
    target::{Ec2Params, Ec2Target, Partition, ServiceIdentity},
};
use fuzz::seeds;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const SEEDS: [&str; 3] = [
    r#"{"arn":"arn:aws:iam::123456789012:role/obs","external_id":"a:b/c","user_id":7,"region":"us-east-1",
        "ami_name":"my image","vpc_subnet_id":"subnet-0a1b2c3d","new":[1]}"#,
    r#"{"arn":"arn:aws-cn:iam::123456789012:role/p/obs","external_id":"12","region":"cn-north-1","ami_name":null}"#,
    r#"{"arn":"arn:aws:iam::123456789012:role/obs","external_id":"12","region":"eu-west-1","route":"direct",
        "boot_mode":"uefi","tpm_support":"v2.0","imds_support":"v2.0","ena_support":true,"volume_size":20,
        "root_device_name":"/dev/xvda","tags":{"a":"b"},"encrypted":true,
        "kms_key_id":"arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"}"#,
];

fuzz_target!(init: seeds::write(SEEDS), |data: &[u8]| {
    for partition in [Partition::Aws, Partition::AwsCn] {
        let service = ServiceIdentity { account: "999999999999".parse().unwrap(), partition };
        match Ec2Params::from_json(data, Arch::X86_64, &service) {
            Ok(params) => check(params.of(&"leap.x86_64.raw.xz".parse().unwrap()), data, partition),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
});

fn check(target: Ec2Target, body: &[u8], partition: Partition) {
    let said = serde_json::from_slice::<Value>(body).unwrap();
    assert_eq!(said["arn"], target.role.as_str());
    assert_eq!(said["external_id"], target.external_id.secret());
    assert_eq!(said["region"], target.region.as_str());
    assert_eq!(target.role.partition(), partition);
    assert_eq!(target.region.partition(), partition);
    let name = said["ami_name"].as_str().filter(|name| !name.is_empty());
    assert_eq!(target.ami_name.as_str(), name.unwrap_or("leap.x86_64"));
    let record = serde_json::to_string(&target).unwrap();
    assert_eq!(serde_json::from_str::<Ec2Target>(&record).unwrap(), target);
}
