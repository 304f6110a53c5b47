//! How the processes of one launch meet: by the store, where each leaves its card, and then directly.

use std::mem::ManuallyDrop;
use std::time::{Duration, Instant};

use torch_ext::{ProcessGroup, TcpStore, TorchExtError};

use crate::card::{ProcessCard, boot_id, host_name};
use crate::connected::Connected;
use crate::error::{CollectiveError, Result};
use crate::launch::Launch;
use crate::liveness::Liveness;
use crate::local_address::LocalAddress;
use crate::{Collective, FIRST};

/// How long the processes wait for each other: other machines may still be starting.
const PATIENCE: Duration = Duration::from_secs(300);

/// How long they have to connect with each other, when all have come.
const CONNECTING: Duration = Duration::from_secs(60);

/// After how long, and then how often, rank 0 says whom it waits for.
const SAYS: Duration = Duration::from_secs(10);

/// How long rank 0 waits for the others to read why they can't work together.
const READING: Duration = Duration::from_secs(3);

/// Meets the other processes of a launch. `program_version` must be the same for all.
///
/// # Errors
/// Processes that don't come; two that claim the same rank; another version or program; several machines of which one has
/// no address that the others can reach.
pub fn join(launch: &Launch, program_version: &str) -> Result<Connected> {
    join_within(launch, program_version, PATIENCE)
}

fn join_within(launch: &Launch, program_version: &str, patience: Duration) -> Result<Connected> {
    let Launch { rank, world, .. } = *launch;
    let holds_store = rank == FIRST && !launch.agent_serves_store;
    let address = LocalAddress::towards(&launch.master_addr, launch.master_port)
        .map_err(|error| no_address(launch, &error.to_string()))?;
    // The launcher's store lives through restarts, and so do its keys.
    let prefix = format!("verdict/{}", launch.attempt);
    let connect = |serves| TcpStore::connect(&launch.master_addr, launch.master_port, serves, &prefix, patience);
    let store = connect(holds_store).map_err(|error| no_store(launch, holds_store, &error))?;
    // From here on a connection may outlive the process at its other end, whose destructor would wait for it.
    let store = ManuallyDrop::new(store);
    let own = ProcessCard {
        rank,
        world,
        host: host_name(),
        process: std::process::id(),
        boot_id: boot_id(),
        address: address.text.clone(),
        is_loopback: address.is_loopback,
        version: program_version.to_owned(),
        program_sha256: std::env::current_exe().ok().and_then(|path| disk::sha256_file(&path).ok()).unwrap_or_default(),
    };
    let cards = exchange_cards(&store, launch, &own, patience).and_then(|cards| check_cards(&cards).map(|()| cards));
    let _ = store.set(&read_key(rank), b"");
    if cards.is_err() && holds_store {
        wait_for_readers(&store, world);
    }
    let cards = cards?;
    let gloo = ProcessGroup::gloo(&store, rank, world, &address.address, CONNECTING);
    let gloo = ManuallyDrop::new(gloo.map_err(|error| not_connected(&cards, &error))?);
    let of_heartbeats = connect(false).map_err(|error| store_gone(launch, &cards, &error))?;
    Liveness::first_beat(&of_heartbeats, rank).map_err(|error| store_gone(launch, &cards, &error))?;
    let liveness = Liveness::start(of_heartbeats, rank, cards.clone(), (!launch.agent_serves_store).then_some(FIRST));
    let liveness =
        liveness.map_err(|error| CollectiveError::NotJoined(format!("failed to start a thread: {error}")))?;
    // torchrun sets it to 1 for each of several processes, whatever the machine has.
    let threads_chosen = std::env::var_os("OMP_NUM_THREADS").is_some() && !launch.omp_threads_by_launcher;
    let connected = Connected::new(store, gloo, liveness, cards, (rank, threads_chosen));
    connected.barrier()?;
    Ok(connected)
}

fn card_key(rank: usize) -> String {
    format!("card/{rank}")
}

fn read_key(rank: usize) -> String {
    format!("read/{rank}")
}

/// The store ends with this process: first those that have come read there why.
fn wait_for_readers(store: &TcpStore, world: usize) {
    let began = Instant::now();
    let reads = |rank: usize| {
        let has = |key: String| store.has(&[key]).unwrap_or(false);
        has(card_key(rank)) && !has(read_key(rank))
    };
    while began.elapsed() < READING && (0..world).any(reads) {
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Leaves this process's card, and waits for those of all others.
fn exchange_cards(
    store: &TcpStore,
    launch: &Launch,
    own: &ProcessCard,
    patience: Duration,
) -> Result<Vec<ProcessCard>> {
    let text = |card: &ProcessCard| serde_json::to_vec(card).map_err(|error| invalid(&error.to_string()));
    store.set(&card_key(own.rank), &text(own)?).map_err(|error| store_gone(launch, &[], &error))?;
    let (began, mut said, mut cards) = (Instant::now(), Instant::now(), Vec::new());
    loop {
        let (mut come, mut missing) = (Vec::new(), Vec::new());
        for rank in 0..launch.world {
            match store.has(&[card_key(rank)]).map_err(|error| store_gone(launch, &cards, &error))? {
                true => come.push(card_key(rank)),
                false => missing.push(rank.to_string()),
            }
        }
        if come.len() > cards.len() {
            let parse = |bytes: &Vec<u8>| serde_json::from_slice(bytes).map_err(|error| invalid(&error.to_string()));
            let texts = store.get(&come).map_err(|error| store_gone(launch, &cards, &error))?;
            cards = texts.iter().map(parse).collect::<Result<Vec<ProcessCard>>>()?;
            // A process that expects others than have been started would wait for them.
            check_same(&cards, "the number of processes", |card| card.world.to_string())?;
        }
        if missing.is_empty() {
            break;
        }
        let missing = missing.join(", ");
        if began.elapsed() > patience {
            return Err(CollectiveError::NotJoined(format!(
                "waited {} seconds for rank {missing} of {} processes at {}:{} (hint: start every rank from 0 to {}; their \
                 own output says why one has not come)",
                patience.as_secs(),
                launch.world,
                launch.master_addr,
                launch.master_port,
                launch.world - 1
            )));
        }
        if own.rank == FIRST && said.elapsed() > SAYS {
            tracing::info!("waiting for rank {missing} of {} processes", launch.world);
            said = Instant::now();
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    match &cards[own.rank] {
        mine if mine == own => Ok(cards),
        other => Err(CollectiveError::NotJoined(format!(
            "two processes say that they are rank {}: {} on {} and {} on {} (hint: two launches use the same address, \
             {}:{}; give one another MASTER_PORT)",
            own.rank, own.process, own.host, other.process, other.host, launch.master_addr, launch.master_port
        ))),
    }
}

/// Refuses processes of which one says something else than the first.
fn check_same(cards: &[ProcessCard], what: &str, value: impl Fn(&ProcessCard) -> String) -> Result<()> {
    let Some(first) = cards.first() else { return Ok(()) };
    let others = cards.iter().filter(|card| value(card) != value(first));
    let differences: Vec<String> = others
        .map(|card| format!("{} has {}, and rank {} has {}", card.describe(), value(card), first.rank, value(first)))
        .collect();
    if differences.is_empty() { Ok(()) } else { Err(CollectiveError::Differ { what: what.to_owned(), differences }) }
}

/// Refuses processes that can't work together.
fn check_cards(cards: &[ProcessCard]) -> Result<()> {
    check_same(cards, "the version of the program", |card| card.version.clone())?;
    check_same(cards, "the program's sha256", |card| card.program_sha256.clone())?;
    let first = &cards[FIRST];
    let several_machines = cards.iter().any(|card| !card.is_beside(first));
    if let Some(card) = cards.iter().find(|card| several_machines && card.is_loopback) {
        return Err(CollectiveError::NotJoined(format!(
            "{} has the address {}, which other machines can't reach (hint: set MASTER_ADDR to an address of rank 0's \
             machine that is not of 127.0.0.0/8, or GLOO_SOCKET_IFNAME to the network interface, such as eth0; where the \
             machine's own name means 127.0.1.1, its /etc/hosts says so)",
            card.describe(),
            card.address
        )));
    }
    Ok(())
}

fn no_address(launch: &Launch, error: &str) -> CollectiveError {
    CollectiveError::NotJoined(format!(
        "MASTER_ADDR is \"{}\", which this machine can't resolve or reach: {error} (hint: it is the name or address of the \
         machine of rank 0)",
        launch.master_addr
    ))
}

fn no_store(launch: &Launch, holds_store: bool, error: &TorchExtError) -> CollectiveError {
    let at = format!("{}:{}", launch.master_addr, launch.master_port);
    CollectiveError::NotJoined(match holds_store {
        true => format!(
            "rank 0 can't serve the other processes at {at}: {} (hint: another program uses the port; give another \
             MASTER_PORT to all processes)",
            first_line(error)
        ),
        false => format!(
            "rank {} of {} can't reach the other processes at {at}: {} (hint: rank 0 must run on that machine, and its \
             firewall must allow the port)",
            launch.rank,
            launch.world,
            first_line(error)
        ),
    })
}

/// The store was there, and no longer is. `cards` are of those that have come.
fn store_gone(launch: &Launch, cards: &[ProcessCard], error: &TorchExtError) -> CollectiveError {
    let holder = match cards.iter().find(|card| card.rank == FIRST) {
        _ if launch.agent_serves_store => format!("the launcher at {}:{}", launch.master_addr, launch.master_port),
        Some(card) => card.describe(),
        None => format!("rank {FIRST} at {}:{}", launch.master_addr, launch.master_port),
    };
    CollectiveError::NotJoined(format!(
        "{holder} went away while the processes met: {} (hint: its own output says why)",
        first_line(error)
    ))
}

fn not_connected(cards: &[ProcessCard], error: &TorchExtError) -> CollectiveError {
    let addresses: Vec<String> = cards.iter().map(|card| format!("{} at {}", card.describe(), card.address)).collect();
    CollectiveError::NotJoined(format!(
        "the processes can't connect with each other: {} (hint: GLOO_SOCKET_IFNAME names the network interface to use; \
         found: {})",
        first_line(error),
        addresses.join(", ")
    ))
}

fn invalid(error: &str) -> CollectiveError {
    CollectiveError::NotJoined(format!(
        "the store has something else than the processes' descriptions: {error} (hint: another program uses the same \
         MASTER_ADDR and MASTER_PORT)"
    ))
}

fn first_line(error: &TorchExtError) -> String {
    error.0.lines().next().unwrap_or_default().trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use std::thread;

    use tch::{Kind, Tensor};

    use super::*;
    use crate::Launcher;

    /// A port that the system has chosen.
    fn free_port() -> u16 {
        std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
    }

    fn launch(rank: usize, world: usize, master_port: u16) -> Launch {
        Launch {
            launcher: Launcher::ByHand,
            rank,
            world,
            local_rank: None,
            local_world: None,
            master_addr: "127.0.0.1".to_owned(),
            master_port,
            agent_serves_store: false,
            attempt: 0,
            error_file: None,
            omp_threads_by_launcher: false,
        }
    }

    /// Runs `each` on that many ranks, threads of this process, and returns their results.
    fn on_ranks<R: Send + 'static>(world: usize, each: impl Fn(&Connected) -> R + Send + Copy + 'static) -> Vec<R> {
        let port = free_port();
        let ranks = (0..world).map(|rank| {
            thread::spawn(move || {
                let connected = join_within(&launch(rank, world, port), "1", Duration::from_secs(30)).unwrap();
                let result = each(&connected);
                connected.leave(None);
                result
            })
        });
        let ranks: Vec<_> = ranks.collect();
        ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
    }

    #[test]
    fn ranks_sum_gather_and_broadcast() {
        for world in [2, 3] {
            let results = on_ranks(world, |ranks| {
                let tensor = Tensor::full([5], ranks.rank() as f64 + 1.0, (Kind::Float, tch::Device::Cpu));
                ranks.sum(&tensor).unwrap();
                let sums = Vec::<f32>::try_from(&tensor).unwrap();
                let of_first = Tensor::full([2], ranks.rank() as f64, (Kind::Float, tch::Device::Cpu));
                ranks.broadcast(&of_first).unwrap();
                let messages = ranks.gather(&vec![b'x'; ranks.rank() * 2]).unwrap();
                let message = ranks.broadcast_message(format!("from {}", ranks.rank()).as_bytes()).unwrap();
                ranks.barrier().unwrap();
                let local = (ranks.local_rank(), ranks.local_world());
                (sums, of_first.double_value(&[1]), messages, message, local)
            });
            let sum = (1..=world).sum::<usize>() as f32;
            let messages: Vec<Vec<u8>> = (0..world).map(|rank| vec![b'x'; rank * 2]).collect();
            for (rank, result) in results.into_iter().enumerate() {
                let expected = (vec![sum; 5], 0.0, messages.clone(), b"from 0".to_vec(), (rank, world));
                assert_eq!(result, expected, "rank {rank} of {world}");
            }
        }
    }

    #[test]
    fn each_row_comes_from_exactly_one_rank() {
        let results = on_ranks(2, |ranks| {
            let own = |row: usize| (row % 2 == ranks.rank()).then(|| vec![row as f32, -0.5]);
            let all = ranks.complete_rows((0..3).map(own).collect(), 2).unwrap();
            let given = |row: usize| (row == 1 || row == 2 && ranks.rank() == 0).then(|| vec![1.0]);
            (all, ranks.complete_rows((0..3).map(given).collect(), 1).unwrap_err().to_string())
        });
        for (all, error) in results {
            assert_eq!(all, [[0.0, -0.5], [1.0, -0.5], [2.0, -0.5]]);
            assert!(
                error.contains("of 3 rows that were dealt out, 1 were given by no process and 1 by several"),
                "{error}"
            );
        }
    }

    #[test]
    fn ranks_of_one_machine_share_memory() {
        let results = on_ranks(3, |ranks| {
            let shared = ranks.share_memory(1000).unwrap().expect("they are on one machine");
            assert_eq!(shared.bytes(), 1000);
            // SAFETY: each rank writes its own region, and reads those of others only between the barriers.
            unsafe { shared.region(ranks.rank()).add(999).write(ranks.rank() as u8 + 7) };
            shared.barrier().unwrap();
            // SAFETY: as above.
            let read: Vec<u8> = (0..3).map(|rank| unsafe { shared.region(rank).add(999).read() }).collect();
            shared.barrier().unwrap();
            read
        });
        assert!(results.iter().all(|read| *read == [7, 8, 9]), "{results:?}");
    }

    #[test]
    fn ranks_that_state_different_things_all_hear_who_does() {
        let results = on_ranks(3, |ranks| {
            ranks.agree("the seed", "42").unwrap();
            let statement = if ranks.rank() == 1 { "43" } else { "42" };
            ranks.agree("the seed", statement).unwrap_err().to_string()
        });
        for message in results {
            assert!(message.starts_with("the processes differ in the seed: rank 1 (process "), "{message}");
            assert!(message.ends_with("has 43, and rank 0 has 42"), "{message}");
        }
    }

    #[test]
    fn a_rank_that_fails_tells_the_others_why() {
        let results = on_ranks(2, |ranks| {
            if ranks.rank() == 1 {
                ranks.leave(Some("the disk is full"));
                return String::new();
            }
            let error = ranks.barrier().unwrap_err().to_string();
            assert_eq!(ranks.barrier().unwrap_err().to_string(), error, "nothing else is tried");
            error
        });
        assert!(results[0].contains("rank 1 (process ") && results[0].ends_with("has stopped: the disk is full"));
    }

    #[test]
    fn ranks_that_do_not_come_are_named() {
        let port = free_port();
        let error = join_within(&launch(0, 3, port), "1", Duration::from_millis(300)).unwrap_err().to_string();
        assert!(error.contains("for rank 1, 2 of 3 processes"), "{error}");
    }

    #[test]
    fn the_holder_of_the_store_that_goes_away_is_named() {
        let port = free_port();
        let connect = move |serves| TcpStore::connect("127.0.0.1", port, serves, "", Duration::from_secs(30)).unwrap();
        let server = connect(true);
        let of_first = serde_json::to_vec(&ProcessCard { world: 3, ..card(0, "a", false) }).unwrap();
        server.set(&card_key(0), &of_first).unwrap();
        let waiting = thread::spawn(move || {
            let own = ProcessCard { world: 3, ..card(1, "a", false) };
            let cards = exchange_cards(&connect(false), &launch(1, 3, port), &own, Duration::from_secs(30));
            cards.unwrap_err().to_string()
        });
        while !server.has(&[card_key(1)]).unwrap() {
            thread::sleep(Duration::from_millis(10));
        }
        thread::sleep(Duration::from_millis(200));
        drop(server);
        let message = waiting.join().unwrap();
        assert!(message.contains("rank 0 (process 7 on a) went away while the processes met: "), "{message}");
    }

    #[test]
    fn another_version_is_refused_by_all() {
        let port = free_port();
        let ranks: Vec<_> = ["1", "2"]
            .into_iter()
            .enumerate()
            .map(|(rank, version)| {
                thread::spawn(move || {
                    join_within(&launch(rank, 2, port), version, Duration::from_secs(30)).unwrap_err().to_string()
                })
            })
            .collect();
        for rank in ranks {
            let message = rank.join().unwrap();
            assert!(message.contains("differ in the version of the program: rank 1"), "{message}");
            assert!(message.ends_with("has 2, and rank 0 has 1"), "{message}");
        }
    }

    fn card(rank: usize, host: &str, is_loopback: bool) -> ProcessCard {
        ProcessCard {
            rank,
            world: 2,
            host: host.to_owned(),
            process: 7,
            boot_id: host.to_owned(),
            address: "127.0.1.1".to_owned(),
            is_loopback,
            version: "1".to_owned(),
            program_sha256: String::new(),
        }
    }

    #[test]
    fn a_loopback_address_is_refused_where_there_are_several_machines() {
        check_cards(&[card(0, "a", true), card(1, "a", true)]).unwrap();
        check_cards(&[card(0, "a", false), card(1, "b", false)]).unwrap();
        let error = check_cards(&[card(0, "a", true), card(1, "b", false)]).unwrap_err().to_string();
        assert!(error.contains("rank 0 (process 7 on a)") && error.contains("GLOO_SOCKET_IFNAME"), "{error}");
    }
}
