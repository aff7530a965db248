//! What keys of AWS KMS cost: calls and price of a strict keyring, cached data keys and branch keys.
//!
//! The real keyrings write and read a few thousand objects over services in memory, with a clock that
//! the program sets. Their calls are counted and must be what the formulas say; then the formulas
//! are used for a million and for a billion objects. `docs/key-service-costs.md` explains them.
//!
//! ```sh
//! cargo run -p envelope-aws-kms --example key_costs
//! cargo run -p envelope-aws-kms --example key_costs -- --tenants 100 --lifetime 3600
//! ```

mod prices;
mod simulation;
mod workload;

use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Parser;

use prices::Prices;
use simulation::{Keys, Simulation};
use workload::Workload;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Counts what keys of AWS KMS cost.
#[derive(Debug, Parser)]
struct Arguments {
    /// Tenants, each with an encryption context and a branch key of its own.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    tenants: u64,
    /// Processes that write and read.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    processes: u64,
    /// Partitions in each process: managers or keyrings that use nothing of each other's.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100))]
    partitions: u64,
    /// Seconds that a key is used before it is asked for again.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    lifetime: u64,
    /// Most messages under one cached data key.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=1 << 32))]
    messages: u64,
    /// Days in which the objects are written and read.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3650))]
    days: u64,
    #[command(flatten)]
    prices: Prices,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    simulate(&arguments).await?;
    revoke(&arguments).await?;
    for (name, objects) in [("1 M", 1_000_000), ("1 G", 1_000_000_000)] {
        let days = DAY * u32::try_from(arguments.days)?;
        let interval = Duration::from_nanos(u64::try_from(days.as_nanos())? / objects);
        print_costs(
            name,
            &arguments.workload(objects, interval),
            &arguments.prices,
        );
    }
    print_choices(&arguments)
}

impl Arguments {
    fn workload(&self, objects: u64, interval: Duration) -> Workload {
        Workload {
            objects,
            interval,
            tenants: self.tenants,
            processes: self.processes,
            partitions: self.partitions,
            lifetime: Duration::from_secs(self.lifetime),
            messages: self.messages,
        }
    }
}

/// Runs small workloads in which each limit bites in turn.
async fn simulate(arguments: &Arguments) -> Result<()> {
    println!("Simulated: the real keyrings, over services in memory\n");
    println!(
        "{:>8} {:>8} {:18} {:>10} {:>10} {:>10} {:>10}",
        "objects", "reuse", "keys", "KMS", "formula", "DynamoDB", "formula"
    );
    // Small fleets have the same formulas, and are counted in seconds.
    let (tenants, processes) = (arguments.tenants.min(10), arguments.processes.min(8));
    let partitions = arguments.partitions.min(8);
    let lifetime = Duration::from_secs(arguments.lifetime);
    let pairs = u32::try_from(tenants * processes * partitions)?;
    // Objects of a tenant in a process for each lifetime: more than a data key may encrypt, fewer,
    // and less than one.
    for interval in [lifetime / 200, lifetime / 8, 2 * lifetime] {
        let workload = Workload {
            objects: 30 * u64::from(pairs) + 3,
            interval: interval / pairs,
            tenants,
            processes,
            partitions,
            lifetime,
            messages: 10,
        };
        for keys in Keys::ALL {
            let simulation = Simulation::new(keys, workload).await?;
            let (counted, expected) = (simulation.run().await?, keys.expected(&workload));
            println!(
                "{:>8} {:>8} {:18} {:>10} {:>10} {:>10} {:>10}",
                workload.objects,
                workload.reuse(),
                keys.name(),
                counted.kms,
                expected.kms,
                counted.dynamo_db,
                expected.dynamo_db
            );
            ensure!(
                counted == expected,
                "{}: counted {counted:?}, the formula says {expected:?}",
                keys.name()
            );
        }
    }
    Ok(())
}

/// How long a key is used after the KMS key was disabled.
async fn revoke(arguments: &Arguments) -> Result<()> {
    println!(
        "\nThe KMS key is disabled just after a key was fetched. Objects are still written for\n"
    );
    let lifetime = Duration::from_secs(arguments.lifetime);
    let step = lifetime / 100;
    let workload = Workload {
        tenants: 1,
        processes: 1,
        partitions: 1,
        messages: 1 << 32,
        ..arguments.workload(1, step)
    };
    for keys in Keys::ALL {
        let simulation = Simulation::new(keys, workload).await?;
        let found = simulation.revocation(step).await?;
        println!("{:18} {:>6} s", keys.name(), found.as_secs());
        let expected = match keys {
            Keys::Strict => Duration::ZERO,
            Keys::Cached | Keys::Branch => lifetime,
        };
        ensure!(
            found == expected,
            "{}: found {found:?}, not {expected:?}",
            keys.name()
        );
    }
    Ok(())
}

fn print_costs(name: &str, workload: &Workload, prices: &Prices) {
    let Workload {
        tenants,
        processes,
        partitions,
        lifetime,
        messages,
        ..
    } = workload;
    println!(
        "\n{name} objects written and read: {tenants} tenants, P = {processes} × {partitions}, {} s, \
         {messages} messages; reuse {}\n",
        lifetime.as_secs(),
        workload.reuse()
    );
    println!(
        "{:18} {:>14} {:>14} {:>14}",
        "keys", "KMS", "DynamoDB", "price"
    );
    for keys in Keys::ALL {
        let calls = keys.expected(workload);
        println!(
            "{:18} {:>14} {:>14} {:>14}",
            keys.name(),
            calls.kms,
            calls.dynamo_db,
            prices.of(calls)
        );
    }
    println!(
        "and {} for each KMS key and month, {} once for the branch keys",
        prices.of_key_month(),
        prices.of_branch_keys(workload)
    );
}

/// The price of a billion objects by the lifetime and the number of processes.
fn print_choices(arguments: &Arguments) -> Result<()> {
    println!(
        "\n1 G objects, by lifetime (time until a revoked key is no longer used) and processes; \
         partitions in each: {}\n",
        arguments.partitions
    );
    println!(
        "{:>10} {:>10} {:>18} {:>18}",
        "lifetime",
        "processes",
        Keys::Cached.name(),
        Keys::Branch.name()
    );
    let objects = 1_000_000_000;
    let days = DAY * u32::try_from(arguments.days)?;
    let interval = Duration::from_nanos(u64::try_from(days.as_nanos())? / objects);
    for lifetime in [60, 300, 3600, 24 * 3600] {
        for processes in [4, 40, 400] {
            let workload = Workload {
                lifetime: Duration::from_secs(lifetime),
                processes,
                ..arguments.workload(objects, interval)
            };
            let price = |keys: Keys| arguments.prices.of(keys.expected(&workload));
            println!(
                "{:>8} s {:>10} {:>18} {:>18}",
                lifetime,
                processes,
                price(Keys::Cached),
                price(Keys::Branch)
            );
        }
    }
    Ok(())
}
