//! What a job costs: what it used, by a table of AWS's list prices.

use std::{env::consts::ARCH, fmt, sync::LazyLock, time::Duration};

use serde::Deserialize;

use crate::{
    clock::Timestamp,
    job::{Job, Usage},
};

/// AWS's list prices of one region, as they were on a day.
#[derive(Debug, Deserialize)]
struct Table {
    region: String,
    date: String,
    prices: Prices,
}

/// The prices of what jobs use. Others in the table are for `infra/local/commands/bench`.
#[derive(Debug, Deserialize)]
struct Prices {
    block: Price,
    snapshot_gb_month: Price,
    s3_write: Price,
    s3_read: Price,
    s3_gb_month: Price,
    read_unit: Price,
    write_unit: Price,
    invocation: Price,
    gb_second_aarch64: Price,
    gb_second_x86_64: Price,
    transition: Price,
    log_gb: Price,
    transfer_gb: Price,
}

#[derive(Debug, Deserialize)]
struct Price {
    dollars: f64,
    /// For so many of them.
    per: f64,
}

impl Price {
    fn of(&self, amount: f64) -> f64 {
        amount * self.dollars / self.per
    }

    fn of_count(&self, count: u64) -> f64 {
        self.of(count as f64)
    }
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    serde_json::from_str(include_str!("cost/prices.json")).expect("the table has all prices")
});

const GIB: f64 = (1_u64 << 30) as f64;
const MIB: f64 = (1_u64 << 20) as f64;

/// AWS counts 730 hours a month (AWS Pricing Calculator user guide).
const MONTH: Duration = Duration::from_secs(730 * 3600);

/// A block of a snapshot (EBS user guide, "Use EBS direct APIs").
const BLOCK: u64 = 512 << 10;

/// About what an invocation writes into the functions' log.
const LOG_OF_INVOCATION: u64 = 4 << 10;

/// What a job cost so far, in dollars, without what is kept: the AMI's storage, the record, the logs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bill {
    /// In the account of the service.
    pub service: f64,
    /// In the account of the job's user.
    pub user: f64,
}

impl Bill {
    /// `usage` is that of all of the job's invocations.
    pub fn of(job: &Job, usage: &Usage, now: Timestamp) -> Self {
        let prices = &TABLE.prices;
        let stored = |began: Option<Timestamp>, bytes: u64, price: &Price| {
            let months = began.map_or(0.0, |began| {
                now.since(began).as_secs_f64() / MONTH.as_secs_f64()
            });
            price.of(months * bytes as f64 / GIB)
        };
        let artifacts = &job.artifacts;
        let gb_second = match ARCH {
            "aarch64" => &prices.gb_second_aarch64,
            _ => &prices.gb_second_x86_64,
        };
        let service = [
            prices.block.of_count(usage.own_blocks),
            prices.s3_write.of_count(usage.own_s3_writes),
            prices.s3_read.of_count(usage.own_s3_reads),
            prices.read_unit.of_count(usage.read_units),
            prices.write_unit.of_count(usage.write_units),
            prices.invocation.of_count(usage.invocations),
            gb_second.of(usage.gb_seconds()),
            prices.transition.of_count(usage.transitions),
            prices
                .log_gb
                .of((usage.invocations * LOG_OF_INVOCATION) as f64 / GIB),
            prices.transfer_gb.of(usage.sent_abroad as f64 / GIB),
            stored(
                artifacts.staging_began,
                job.request.size,
                &prices.s3_gb_month,
            ),
            stored(
                artifacts.blocks.snapshot_began,
                usage.own_blocks * BLOCK,
                &prices.snapshot_gb_month,
            ),
        ];
        let user = [
            prices.block.of_count(usage.user_blocks),
            prices.s3_write.of_count(usage.user_s3_writes),
            prices.s3_read.of_count(usage.user_s3_reads),
            stored(
                artifacts.bucket.disk_began,
                artifacts.bucket.disk_size.unwrap_or_default(),
                &prices.s3_gb_month,
            ),
        ];
        Self {
            service: service.iter().sum(),
            user: user.iter().sum(),
        }
    }
}

/// What a job used and what that cost, as two lines for its log.
pub fn lines(job: &Job, usage: &Usage, bill: &Bill) -> [String; 2] {
    let account = job.request.ec2.role.account();
    let used = format!(
        "Calls to AWS: {} in account {account}, {} in the service's; {:.1} MiB sent, {:.1} MiB fetched; {:.1} s of \
         functions ({:.1} GB-s)",
        usage.user_calls,
        usage.own_calls,
        usage.sent as f64 / MIB,
        usage.fetched as f64 / MIB,
        usage.function_ms as f64 / 1000.0,
        usage.gb_seconds(),
    );
    let blocks = match usage.user_blocks {
        0 => String::new(),
        count => format!(" ({count} blocks of EBS)"),
    };
    let cost = format!(
        "Cost: {} in account {account}{blocks}, {} in the service's; without the AMI's storage; by AWS's list prices of {} \
         of {}",
        Cents(bill.user),
        Cents(bill.service),
        TABLE.region,
        TABLE.date,
    );
    [used, cost]
}

/// Dollars, shown as no more than is known of them.
struct Cents(f64);

impl fmt::Display for Cents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 * 100.0 {
            0.0 => f.write_str("nothing"),
            cents if cents < 0.01 => f.write_str("less than 0.01 cents"),
            cents if cents < 0.095 => write!(f, "about {cents:.2} cents"),
            cents if cents < 9.95 => write!(f, "about {cents:.1} cents"),
            cents => write!(f, "about {cents:.0} cents"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::example;

    const NOW: Timestamp = Timestamp::from_secs(1795445844 + 3600);

    /// Of the processor that this runs on.
    fn gb_second() -> f64 {
        match ARCH {
            "aarch64" => 0.0000133334,
            _ => 0.0000166667,
        }
    }

    #[track_caller]
    fn assert_near(dollars: f64, expected: f64) {
        assert!(
            (dollars - expected).abs() < 1e-9,
            "{dollars} instead of {expected}"
        );
    }

    #[test]
    fn each_use_has_its_price_and_its_payer() {
        let bill = |usage| Bill::of(&example(), &usage, NOW);
        let usage = Usage {
            user_blocks: 4096,
            user_s3_writes: 1000,
            user_s3_reads: 1000,
            ..Usage::default()
        };
        assert_near(bill(usage).user, 0.024576 + 0.005 + 0.0004);
        assert_near(bill(usage).service, 0.0);
        for (usage, dollars) in [
            (
                Usage {
                    own_s3_writes: 2000,
                    ..Usage::default()
                },
                0.01,
            ),
            (
                Usage {
                    own_s3_reads: 2000,
                    ..Usage::default()
                },
                0.0008,
            ),
            (
                Usage {
                    read_units: 8_000_000,
                    ..Usage::default()
                },
                1.0,
            ),
            (
                Usage {
                    write_units: 1_600_000,
                    ..Usage::default()
                },
                1.0,
            ),
            (
                Usage {
                    transitions: 40,
                    ..Usage::default()
                },
                0.001,
            ),
            (
                Usage {
                    sent_abroad: 5 << 30,
                    ..Usage::default()
                },
                0.1,
            ),
            (
                Usage {
                    own_blocks: 1000,
                    ..Usage::default()
                },
                0.006,
            ),
            (
                Usage {
                    function_mib_ms: 1024 * 60_000,
                    ..Usage::default()
                },
                60.0 * gb_second(),
            ),
            (
                Usage {
                    invocations: 1 << 18,
                    ..Usage::default()
                },
                0.2 * 0.262144 + 0.5,
            ),
            // These cost nothing by themselves.
            (
                Usage {
                    own_calls: 9,
                    user_calls: 9,
                    sent: 9,
                    fetched: 9,
                    ..Usage::default()
                },
                0.0,
            ),
        ] {
            assert_near(bill(usage).service, dollars);
            assert_near(bill(usage).user, 0.0);
        }
    }

    #[test]
    fn what_is_stored_costs_as_long_as_it_is_there() {
        let an_hour_ago = Some(Timestamp::from_secs(1795445844));
        let mut job = example();
        job.request.size = 730 << 30;
        job.artifacts.staging_began = an_hour_ago;
        job.artifacts.bucket.disk_began = an_hour_ago;
        job.artifacts.bucket.disk_size = Some(1460 << 30);
        let bill = Bill::of(&job, &Usage::default(), NOW);
        assert_near(bill.service, 0.023);
        assert_near(bill.user, 0.046);
        job.artifacts.blocks.snapshot_began = an_hour_ago;
        let blocks = Usage {
            own_blocks: 730 << 11,
            ..Usage::default()
        };
        let copied = Bill::of(&job, &blocks, NOW).service - bill.service;
        assert_near(copied, 0.05 + (730 << 11) as f64 * 0.000006);
    }

    #[test]
    fn a_log_has_two_lines_of_it() {
        let usage = Usage {
            own_calls: 210,
            user_calls: 1234,
            user_blocks: 608,
            sent: 612 << 20,
            fetched: 180 << 20,
            function_ms: 14_000,
            function_mib_ms: 3277 * 1000,
            ..Usage::default()
        };
        let bill = Bill {
            service: 0.0009,
            user: 0.003648,
        };
        assert_eq!(
            lines(&example(), &usage, &bill),
            [
                "Calls to AWS: 1234 in account 123456789012, 210 in the service's; 612.0 MiB sent, 180.0 MiB fetched; \
                 14.0 s of functions (3.2 GB-s)",
                "Cost: about 0.4 cents in account 123456789012 (608 blocks of EBS), about 0.09 cents in the service's; \
                 without the AMI's storage; by AWS's list prices of us-east-1 of 2026-11-27",
            ]
        );
    }

    #[test]
    fn cents_are_no_more_exact_than_they_are_known() {
        let shown = |dollars| Cents(dollars).to_string();
        assert_eq!(shown(0.0), "nothing");
        assert_eq!(shown(0.00001), "less than 0.01 cents");
        assert_eq!(shown(0.0004), "about 0.04 cents");
        assert_eq!(shown(0.00096), "about 0.1 cents");
        assert_eq!(shown(0.0234), "about 2.3 cents");
        assert_eq!(shown(0.0999), "about 10 cents");
        assert_eq!(shown(1.2345), "about 123 cents");
    }
}
