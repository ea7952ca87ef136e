//! Whether the machine is one (virtual machines, containers), and what its processor's faults cost.

use super::finding::Finding;
use super::machine::{Context, Machine};

const SUBJECT: &str = "virtualisation";

pub(super) fn findings(context: &Context<'_>) -> Vec<Finding> {
    vec![virtualisation(context), mitigations(context)]
}

/// Whether a host runs it; `None`: unknown.
pub(super) fn is_virtual(machine: &Machine) -> Option<bool> {
    let info = machine.read("proc/cpuinfo")?;
    let flags = info.lines().find(|it| it.starts_with("flags"));
    let has_flag = flags.is_some_and(|it| it.split_whitespace().any(|it| it == "hypervisor"));
    Some(has_flag || machine.exists("sys/hypervisor/type"))
}

fn virtualisation(context: &Context<'_>) -> Finding {
    let machine = &context.machine;
    let Some(is_virtual) = is_virtual(machine) else {
        return Finding::unknown(SUBJECT, "/proc/cpuinfo");
    };
    let product = machine.read("sys/class/dmi/id/product_name");
    let container = ["run/systemd/container", ".dockerenv", "run/.containerenv"];
    let is_container = container.iter().any(|it| machine.exists(it));
    match (is_virtual, is_container) {
        (false, false) => Finding::good(SUBJECT, "none is seen"),
        (false, true) => Finding::good(SUBJECT, "a container; its limits are told above"),
        (true, _) => {
            let product = product.map_or_else(String::new, |it| format!(" ({it})"));
            Finding::fair(
                SUBJECT,
                format!("a virtual machine{product}"),
                "have the host pin its cores and reserve its memory",
            )
            .because("its host may take cores away at any time; latency is as steady as that")
        }
    }
}

/// Mitigations that every system call pays for.
const COSTLY: [&str; 4] = ["PTI", "IBRS", "untrained return thunk", "Clear CPU buffers"];

fn mitigations(context: &Context<'_>) -> Finding {
    const SUBJECT: &str = "mitigations";
    const FOLDER: &str = "sys/devices/system/cpu/vulnerabilities";
    let machine = &context.machine;
    let names = machine.names(FOLDER);
    if names.is_empty() {
        return Finding::unknown(SUBJECT, "/sys/devices/system/cpu/vulnerabilities");
    }
    let states = names.iter().filter_map(|name| {
        let state = machine.read(&format!("{FOLDER}/{name}"))?;
        Some((name, state))
    });
    // "Enhanced IBRS" is set once, and costs a system call nothing.
    let is_costly = |state: &str| {
        let state = state
            .replace("Enhanced / Automatic IBRS", "")
            .replace("Enhanced IBRS", "");
        let state = state.replace("eIBRS", "");
        state.starts_with("Mitigation") && COSTLY.iter().any(|it| state.contains(it))
    };
    let costly: Vec<String> = states
        .filter(|(_, state)| is_costly(state))
        .map(|(name, state)| format!("{name} ({})", state.trim_start_matches("Mitigation: ")))
        .collect();
    let why = "each system call pays for them, and agents make one for each read, write and poll";
    match costly.is_empty() {
        true => Finding::good(SUBJECT, "none that a system call pays for").because(why),
        false => Finding::fair(
            SUBJECT,
            costly.join(", "),
            "a newer processor needs fewer; mitigations=off is your decision, and only for a \
             machine \
             that runs nothing foreign",
        )
        .because(why),
    }
}
