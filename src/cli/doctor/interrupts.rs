//! Who interrupts the agents' cores: counted over the measuring time, by core and by cause.

use super::finding::Finding;
use super::fix::Fix;
use super::machine::Context;
use crate::agent::core_list::{cores_without, parse_cores, show_cores};

const SUBJECT: &str = "interrupts";
/// A device that interrupts an agent's core more often than this, a second, has it for its own.
const DEVICE_RATE_GOOD: f64 = 10.0;
/// Causes that are named, the most frequent first.
const NAMED_MAX: usize = 4;

/// One cause, and how often it came, by core.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    /// `24` of a device, or a name such as `LOC`.
    id: String,
    name: String,
    /// By core: its number and the count.
    counts: Vec<(usize, u64)>,
}

impl Row {
    fn is_device(&self) -> bool {
        self.id.bytes().all(|it| it.is_ascii_digit())
    }
}

/// `/proc/interrupts`: a heading of cores, then a line a cause.
fn parse(text: &str) -> Option<Vec<Row>> {
    let mut lines = text.lines();
    let cores: Vec<usize> = lines
        .next()?
        .split_whitespace()
        .map(|it| it.strip_prefix("CPU")?.parse().ok())
        .collect::<Option<_>>()?;
    if cores.is_empty() {
        return None;
    }
    let row = |line: &str| {
        let (id, rest) = line.split_once(':')?;
        let mut words = rest.split_whitespace();
        let counts = cores.iter().map_while(|&core| {
            let count = words.clone().next()?.parse().ok()?;
            words.next();
            Some((core, count))
        });
        let counts: Vec<_> = counts.collect();
        let words: Vec<&str> = words.collect();
        let id = id.trim().to_owned();
        let is_number = id.bytes().all(|it| it.is_ascii_digit());
        // A device's own name comes last, behind its controller's; the others have a sentence.
        let name = match words.as_slice() {
            [.., device] if is_number => (*device).to_owned(),
            _ => name_of(&id, &words),
        };
        Some(Row { id, name, counts })
    };
    Some(lines.filter_map(row).collect())
}

fn name_of(id: &str, words: &[&str]) -> String {
    match id {
        "LOC" => "the timer".to_owned(),
        "RES" => "wake-ups by other cores".to_owned(),
        "CAL" => "calls by other cores".to_owned(),
        "TLB" => "page tables".to_owned(),
        _ if words.is_empty() => id.to_owned(),
        _ => words.join(" "),
    }
}

/// What came between two readings.
fn difference(before: &[Row], after: &[Row]) -> Vec<Row> {
    let rows = after.iter().map(|row| {
        let old = before.iter().find(|it| it.id == row.id);
        let was = |core| {
            let counts = old.map(|it| &it.counts);
            counts.and_then(|it| Some(it.iter().find(|it| it.0 == core)?.1))
        };
        let counts = row.counts.iter();
        let counts =
            counts.map(|&(core, count)| (core, count.saturating_sub(was(core).unwrap_or(0))));
        Row {
            counts: counts.collect(),
            ..row.clone()
        }
    });
    rows.collect()
}

/// By two readings of `/proc/interrupts` that lie `seconds` apart.
pub(super) fn assess(context: &Context<'_>, before: &str, after: &str, seconds: f64) -> Finding {
    let (Some(before), Some(after)) = (parse(before), parse(after)) else {
        return Finding::unknown(SUBJECT, "/proc/interrupts");
    };
    let cores = context.agent_cores();
    let rates = Rates::new(&difference(&before, &after), &cores, seconds);
    let found = rates.words();
    if !context.has_own_cores() {
        let found = format!("{found}; agents have no cores of their own");
        return Finding::good(SUBJECT, found);
    }
    let why = "a core that serves an interrupt stops its agent for 2 to 20 us, and fills its cache";
    if rates.devices.is_empty() {
        return Finding::good(SUBJECT, found).because(why);
    }
    let rest = context.other_cores();
    let fixes: Vec<Fix> = rates
        .devices
        .iter()
        .filter_map(|(number, _)| move_away(context, number, &cores, &rest))
        .collect();
    let advice = match fixes.is_empty() {
        true => {
            "the kernel places these itself: isolcpus=managed_irq,CORES, or fewer queues \
             (ethtool -L), keeps them away"
        }
        false => {
            "give these interrupts the cores that no agent has, and keep irqbalance from moving \
             them back"
        }
    };
    let devices: Vec<&str> = rates.devices.iter().map(|it| it.1.as_str()).collect();
    Finding::fair(
        SUBJECT,
        format!("{found}; devices: {}", devices.join(", ")),
        advice,
    )
    .because(why)
    .fixed_by(fixes)
}

/// What the agents' cores see, a second.
struct Rates {
    by_core: Vec<CoreRates>,
    /// Devices that come often: number and name.
    devices: Vec<(String, String)>,
}

/// Of one core.
struct CoreRates {
    core: usize,
    /// The most frequent first.
    causes: Vec<(String, f64)>,
}

impl CoreRates {
    fn words(&self) -> String {
        let core = self.core;
        let all: f64 = self.causes.iter().map(|it| it.1).sum();
        let named = self.causes.iter().take(NAMED_MAX);
        let named: Vec<_> = named
            .map(|(name, rate)| format!("{name} {rate:.0}"))
            .collect();
        match named.is_empty() {
            true => format!("core {core}: none"),
            false => format!("core {core}: {all:.0}/s ({})", named.join(", ")),
        }
    }
}

impl Rates {
    fn new(rows: &[Row], cores: &[usize], seconds: f64) -> Self {
        let rate = |row: &Row, core: usize| {
            let count = row
                .counts
                .iter()
                .find(|it| it.0 == core)
                .map_or(0, |it| it.1);
            count as f64 / seconds.max(0.001)
        };
        let by_core = cores.iter().map(|&core| {
            let mut causes: Vec<(String, f64)> = rows
                .iter()
                .map(|row| (row.name.clone(), rate(row, core)))
                .filter(|it| it.1 >= 0.5)
                .collect();
            causes.sort_by(|one, other| other.1.total_cmp(&one.1));
            CoreRates { core, causes }
        });
        let is_loud = |row: &&Row| {
            row.is_device() && cores.iter().any(|&core| rate(row, core) > DEVICE_RATE_GOOD)
        };
        let devices = rows.iter().filter(is_loud);
        Self {
            by_core: by_core.collect(),
            devices: devices.map(|it| (it.id.clone(), it.name.clone())).collect(),
        }
    }

    fn words(&self) -> String {
        let words: Vec<String> = self.by_core.iter().map(CoreRates::words).collect();
        words.join("; ")
    }
}

fn move_away(context: &Context<'_>, number: &str, cores: &[usize], rest: &[usize]) -> Option<Fix> {
    let path = format!("proc/irq/{number}/smp_affinity_list");
    let before = context.machine.read(&path)?;
    let now = parse_cores(&before)?;
    let kept = cores_without(&now, cores);
    // What may go elsewhere already is where the kernel put it.
    let wanted = if kept.is_empty() { rest.to_vec() } else { kept };
    (!wanted.is_empty() && wanted != now).then(|| Fix::value(&path, &show_cores(&wanted), &before))
}

/// The service that spreads interrupts over the cores again and again.
pub(super) fn findings(context: &Context<'_>) -> Vec<Finding> {
    vec![irqbalance(context)]
}

fn irqbalance(context: &Context<'_>) -> Finding {
    const SUBJECT: &str = "irqbalance";
    let machine = &context.machine;
    let processes = machine.names("proc");
    if processes.is_empty() {
        return Finding::unknown(SUBJECT, "/proc");
    }
    let mut processes = processes
        .iter()
        .filter(|it| it.bytes().all(|it| it.is_ascii_digit()));
    let is_it = |process: &&String| {
        machine.read(&format!("proc/{process}/comm")).as_deref() == Some("irqbalance")
    };
    let Some(process) = processes.find(is_it) else {
        return Finding::good(
            SUBJECT,
            "it does not run: interrupts stay where they are put",
        );
    };
    if !context.has_own_cores() {
        return Finding::good(SUBJECT, "it runs; agents have no cores of their own");
    }
    let environment = machine.read(&format!("proc/{process}/environ"));
    let environment = environment.unwrap_or_default();
    let banned = environment
        .split('\0')
        .find_map(|it| it.strip_prefix("IRQBALANCE_BANNED_CPULIST="))
        .and_then(parse_cores);
    // Without the variable it leaves isolated and nohz_full cores alone.
    let quiet = banned.unwrap_or_else(|| {
        let of = |path| machine.cores(path).unwrap_or_default();
        let mut cores = of("sys/devices/system/cpu/isolated");
        cores.extend(of("sys/devices/system/cpu/nohz_full"));
        cores
    });
    let cores = context.agent_cores();
    match cores_without(&cores, &quiet).as_slice() {
        [] => Finding::good(SUBJECT, "it runs, and leaves the agents' cores alone"),
        loud => Finding::fair(
            SUBJECT,
            format!(
                "it runs, and may move interrupts to the agents' {}",
                show_cores(loud)
            ),
            format!(
                "IRQBALANCE_BANNED_CPULIST={} in its settings (/etc/default/irqbalance or \
                 /etc/sysconfig/irqbalance), then restart it; or stop it and place the \
                 interrupts by hand",
                show_cores(&cores)
            ),
        )
        .because("it moves a device's interrupts to whichever core has the least to do")
        .fixed_by([Fix::by_hand("systemctl disable --now irqbalance")]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "           CPU0       CPU2       CPU3
 24:          1          0          0   IO-APIC   5-edge      ACPI:Ged
 31:        100          7          0   PCI-MSIX-0000:00:03.0   1-edge      eth0-rx-0
NMI:          0          0          0   Non-maskable interrupts
LOC:       1000       1000       1000   Local timer interrupts
ERR:          0
";

    #[test]
    fn causes_are_counted_by_core_whatever_their_numbers() {
        let rows = parse(BEFORE).expect("it is such a file");
        let names: Vec<_> = rows.iter().map(|it| it.name.as_str()).collect();
        let expected = [
            "ACPI:Ged",
            "eth0-rx-0",
            "Non-maskable interrupts",
            "the timer",
            "ERR",
        ];
        assert_eq!(names, expected);
        assert_eq!(rows[1].counts, [(0, 100), (2, 7), (3, 0)]);
        assert_eq!(rows[4].counts, [(0, 0)], "of the whole machine");
        let after = BEFORE.replace("100          7", "150        407");
        let after = parse(&after).expect("it is such a file");
        let rows = difference(&rows, &after);
        assert_eq!(rows[1].counts, [(0, 50), (2, 400), (3, 0)]);
        let rates = Rates::new(&rows, &[2, 3], 2.0);
        assert_eq!(rates.words(), "core 2: 200/s (eth0-rx-0 200); core 3: none");
        assert_eq!(rates.devices, [("31".to_owned(), "eth0-rx-0".to_owned())]);
    }

    #[test]
    fn other_files_are_none() {
        for text in ["", "\n", "CPUx\n", "CPU0 1\n", "words\n 1: 2"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
        assert_eq!(parse("CPU0\n\0\n1\n:\n: x"), parse("CPU0\n:\n: x"));
    }
}
