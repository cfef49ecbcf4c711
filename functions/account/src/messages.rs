//! What `prepare` says to `transfer`: these messages carry slices, which the steps that know no image do not read.

use cloudupload::job::JobId;
use image::slice::Slice;
use serde::{Deserialize, Serialize};

use crate::route::SliceTarget;

/// A slice, and where the route writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteSlice {
    #[serde(flatten)]
    pub slice: Slice,
    #[serde(flatten)]
    pub target: SliceTarget,
}

/// The answer of `prepare`: the slices to transfer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PrepareOutput {
    pub job: JobId,
    pub slices: Vec<RouteSlice>,
}

/// The input of `transfer`: one of the slices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransferInput {
    pub slice: RouteSlice,
}

#[cfg(test)]
mod tests {
    use cloudupload::messages::StepEvent;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_sample_event_is_what_transfer_reads() {
        let event = include_str!("../../../events/transfer.json");
        serde_json::from_str::<StepEvent<TransferInput>>(event).unwrap();
    }

    #[test]
    fn the_workflow_transfers_as_many_slices_at_a_time_as_the_plan_expects() {
        let workflow = include_str!("../../../infra/upload.asl.json");
        let workflow: Value = serde_json::from_str(workflow).unwrap();
        let at_a_time = &workflow["States"]["Transfer"]["MaxConcurrency"];
        assert_eq!(*at_a_time, image::plan::SIDE_BY_SIDE);
    }

    /// Executions of the release before carry slices to the functions of this one.
    #[test]
    fn a_slice_is_written_as_by_the_first_release() {
        let slices = [
            json!({
                "index": 19,
                "staged": {"start": 2_926_001_684u64, "end": 2_987_001_716u64},
                "coding": {"xz_run": {
                    "check": "crc64",
                    "blocks": 9,
                    "records": {"start": 2_987_005_063u64, "end": 2_987_005_135u64},
                }},
                "image": {"start": 10_519_314_432u64, "end": 10_737_418_240u64},
                "end": {"needs": 0},
                "first_part": 1255,
                "part_size": 8_388_608,
            }),
            json!({
                "index": 0,
                "staged": {"start": 0, "end": 1000},
                "coding": {"whole": "gzip"},
                "end": {"needs": 512},
                "first_part": 1,
                "part_size": 8_388_608,
            }),
        ];
        for slice in slices {
            let event = json!({"job": "17", "slice": slice}).to_string();
            let event: StepEvent<TransferInput> = serde_json::from_str(&event).unwrap();
            let written: Value = serde_json::to_value(&event.input.slice).unwrap();
            assert_eq!(written, slice);
        }
    }
}
