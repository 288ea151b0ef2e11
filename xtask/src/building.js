// Shows how far the build is, and opens the app when it is there.

const element = (id) => document.getElementById(id);

async function look() {
  try {
    const answer = await fetch("building/progress.json", { cache: "no-store" });
    if (!answer.ok) throw new Error(answer.statusText);
    const { state, step, number, of, began } = await answer.json();
    if (state === "done") return location.reload();
    element("step").textContent = state === "failed" ? step : `Step ${number} of ${of}: ${step}`;
    element("step").classList.toggle("failed", state === "failed");
    element("progress").max = of;
    element("progress").value = number - 1;
    element("time").textContent = `${Math.max(0, Math.floor((Date.now() / 1000 - began) / 60))} min since the server started`;
  } catch {
    element("step").textContent = "The server doesn't answer. Was the build stopped?";
  }
  setTimeout(look, 1000);
}

look();
