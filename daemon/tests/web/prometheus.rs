//! Prometheus's own client: TLS, a password, HTTP/2, and a wrong password.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use crate::client::{PASSWORD, Server, TLS, await_some, user};

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn prometheus_scrapes_with_tls_and_a_password() {
    let program = env::var_os("PROMETHEUS").expect("PROMETHEUS: use cargo xtask test");
    let server = Server::start(&format!("{TLS}{}", user()), "");
    let job = |name: &str, password: &str, more: &str| {
        format!(
            "- job_name: {name}\n  scheme: https\n  scrape_interval: 1s\n  tls_config:\n    ca_file: {}\n  \
             basic_auth:\n    username: scraper\n    password: {password}\n  {more}\n  static_configs:\n  \
             - targets: ['{}']\n",
            server.path("ca.pem").display(),
            server.address
        )
    };
    let config = server.path("prometheus.yml");
    let jobs = [job("right", PASSWORD, ""), job("old", PASSWORD, "enable_http2: false"), job("wrong", "wrong", "")];
    fs::write(&config, format!("scrape_configs:\n{}", jobs.concat())).unwrap();
    let checked = Command::new(env::var_os("PROMTOOL").expect("PROMTOOL: use cargo xtask test"))
        .args(["check", "web-config"])
        .arg(server.path("web.yml"))
        .output()
        .unwrap();
    assert!(checked.status.success(), "its own reader takes the file too: {checked:?}");
    let child = Command::new(program)
        .args(["--web.listen-address=127.0.0.1:0", "--log.level=info"])
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", server.path("series").display()))
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut running = Running(child);
    let mut log = BufReader::new(running.0.stderr.take().unwrap()).lines().map_while(Result::ok);
    let address = log
        .find_map(|line| {
            let (_, rest) = line.split_once("Listening on\"").or_else(|| line.split_once("msg=\"Listening on\""))?;
            let (_, address) = rest.split_once("address=")?;
            Some(address.split_whitespace().next()?.to_owned())
        })
        .expect("Prometheus says where it listens");
    // Its log is read on: it must not stop because nobody does.
    std::thread::spawn(move || log.for_each(drop));
    let up = |job: &str| -> Option<String> {
        let url = format!("http://{address}/api/v1/query");
        let answer = ureq::get(&url).query("query", format!("up{{job=\"{job}\"}}")).call().ok()?;
        let json: serde_json::Value = serde_json::from_str(&answer.into_body().read_to_string().ok()?).ok()?;
        Some(json["data"]["result"][0]["value"][1].as_str()?.to_owned())
    };
    for (job, is_up) in [("right", "1"), ("old", "1"), ("wrong", "0")] {
        let told = await_some(&format!("scrape of {job}"), || up(job));
        assert_eq!(told, is_up, "{job}");
    }
}
