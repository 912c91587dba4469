//! Ordinary files in place of the kernel's: what is written can be read.

use super::*;
use crate::temporary_folder::TemporaryFolder;

struct Service {
    mount: TemporaryFolder,
}

impl Service {
    fn new(controllers: &str, members: &[u32]) -> Self {
        let service = Self { mount: TemporaryFolder::new("groups") };
        fs::create_dir(service.path()).expect("it can be made");
        let members: String = members.iter().map(|pid| format!("{pid}\n")).collect();
        fs::write(service.path().join("cgroup.controllers"), format!("{controllers}\n")).expect("it can be written");
        fs::write(service.path().join("cgroup.procs"), members).expect("it can be written");
        service
    }

    fn path(&self) -> PathBuf {
        self.mount.path.join("service")
    }

    fn open(&self, group: &str, server_pids: &[u32]) -> ControlGroups {
        ControlGroups::open(Ok(Host {
            mount: Some(self.mount.path.clone()),
            group: group.to_owned(),
            server_pids: server_pids.to_vec(),
            memory_bytes: 4000,
        }))
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    }
}

#[test]
fn the_server_is_put_aside_and_each_sandbox_gets_a_group() {
    let service = Service::new("cpuset cpu io memory pids", &[7, 8]);
    fs::create_dir(service.path().join("playa-sandbox-77")).expect("it can be made");
    let groups = service.open("/service", &[7, 8]);
    let detail = format!("memory, pids, cpu in {}", service.path().display());
    assert_eq!(groups.state, ControlGroupState { available: true, detail });
    assert!(!service.path().join("playa-sandbox-77").exists(), "it was left behind");
    assert_eq!(service.read("cgroup.subtree_control"), "+memory +pids +cpu");
    assert_eq!(service.read("playa-server/cgroup.procs"), "8");
    assert_eq!(service.read("playa-server/cpu.weight"), "1000");
    let members = groups.make(3, 8).expect("it can be made").expect("there is one");
    assert_eq!(
        members.to_str(),
        service.path().join("playa-sandbox-3/cgroup.procs").to_str().ok_or(()).map_err(|()| unreachable!())
    );
    assert_eq!(service.read("playa-sandbox-3/pids.max"), "24");
    assert_eq!(service.read("playa-sandbox-3/memory.oom.group"), "1");
    assert_eq!(service.read("playa-sandbox-3/memory.max"), "3000");
    groups.kill(3);
    assert!(!service.path().join("playa-sandbox-3/cgroup.kill").exists(), "an older kernel has none");
    fs::write(service.path().join("playa-sandbox-3/cgroup.kill"), "").expect("it can be written");
    groups.kill(3);
    assert_eq!(service.read("playa-sandbox-3/cgroup.kill"), "1");
}

#[test]
fn a_second_spawner_finds_what_the_first_has_made() {
    let service = Service::new("cpu memory pids", &[7, 8]);
    assert!(service.open("/service", &[7, 8]).state.available);
    fs::write(service.path().join("cgroup.procs"), "").expect("it can be written");
    let again = service.open("/service/playa-server", &[7, 9]);
    assert_eq!(again.state.detail, format!("memory, pids, cpu in {}", service.path().display()));
    groups_come_and_go(&again, &service);
}

fn groups_come_and_go(groups: &ControlGroups, service: &Service) {
    groups.make(4, 1).expect("it can be made");
    for file in ["memory.max", "memory.oom.group", "pids.max"] {
        fs::remove_file(service.path().join("playa-sandbox-4").join(file)).expect("a real group has none to remove");
    }
    groups.remove(4);
    assert!(!service.path().join("playa-sandbox-4").exists());
}

#[test]
fn a_host_that_is_not_the_servers_own_is_left_alone() {
    let cases: [(&str, &[u32], &str); 3] = [
        ("cpuset io", &[7], "memory, pids, cpu are not delegated"),
        ("cpu memory", &[7], "pids are not delegated"),
        ("cpu memory pids", &[7, 1234], "other processes share"),
    ];
    for (controllers, members, reason) in cases {
        let service = Service::new(controllers, members);
        let groups = service.open("/service", &[7]);
        assert!(!groups.state.available && groups.state.detail.contains(reason), "{:?}", groups.state);
        assert_eq!(groups.make(3, 8).expect("nothing is done"), None);
        groups.kill(3);
        groups.remove(3);
        assert_eq!(fs::read_dir(service.path()).expect("it is there").count(), 2);
    }
}

#[test]
fn a_host_without_the_hierarchy_is_told() {
    let host = Host { mount: None, group: "/".to_owned(), server_pids: vec![], memory_bytes: 0 };
    let groups = ControlGroups::open(Ok(host));
    assert_eq!(groups.state.detail, "control groups of version 2 are not mounted");
}

#[test]
fn it_finds_its_way_on_this_host() {
    let host = Host::describe().expect("there is /proc");
    assert!(host.group.starts_with('/') && host.memory_bytes > 1 << 20);
    assert!(host.server_pids.contains(&std::process::id()));
}
