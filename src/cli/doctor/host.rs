//! Whether the machine is one: virtual machines and containers.

use super::finding::Finding;
use super::machine::Context;

const SUBJECT: &str = "virtualisation";

pub(super) fn findings(context: &Context<'_>) -> Vec<Finding> {
    vec![virtualisation(context)]
}

fn virtualisation(context: &Context<'_>) -> Finding {
    let machine = &context.machine;
    let Some(info) = machine.read("proc/cpuinfo") else {
        return Finding::unknown(SUBJECT, "/proc/cpuinfo");
    };
    let flags = info.lines().find(|it| it.starts_with("flags"));
    let is_virtual = flags.is_some_and(|it| it.split_whitespace().any(|it| it == "hypervisor"))
        || machine.exists("sys/hypervisor/type");
    let product = machine.read("sys/class/dmi/id/product_name");
    let container = ["run/systemd/container", ".dockerenv", "run/.containerenv"];
    let is_container = container.iter().any(|it| machine.exists(it));
    match (is_virtual, is_container) {
        (false, false) => Finding::ok(SUBJECT, "none is seen"),
        (false, true) => Finding::ok(SUBJECT, "a container; its limits are told above"),
        (true, _) => {
            let product = product.map_or_else(String::new, |it| format!(" ({it})"));
            Finding::warn(
                SUBJECT,
                format!("a virtual machine{product}: its host may take cores away at any time"),
                "have the host pin its cores and reserve its memory; latency is as steady as that",
            )
        }
    }
}
