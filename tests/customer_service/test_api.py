"""The service: asked over HTTP as its clients would, over real SQLite and a trained toy bot."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator

import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings

from apps.customer_service import api, settings
from apps.customer_service.bot import ready
from apps.customer_service.phrases import ALONE
from engine.feedback import Feedback, FeedbackLog
from engine.service import Keys, Queue

ORIGIN = "https://shop.example"


class Client:
    """A caller with a key."""

    def __init__(self, http: TestClient, key: str, **headers: str) -> None:
        self.http, self.headers = http, {"Authorization": f"Bearer {key}", **headers}

    def post(self, path: str, **body: object) -> tuple[int, dict]:  # type: ignore[type-arg]
        answer = self.http.post(path, json=body, headers=self.headers)
        return answer.status_code, answer.json()

    def get(self, path: str) -> tuple[int, object]:
        answer = self.http.get(path, headers=self.headers)
        return answer.status_code, answer.json()


class Service:
    def __init__(self, app: FastAPI, http: TestClient, keys: Keys) -> None:
        self.app, self.http, self.keys = app, http, keys

    def client(self, role: str, tenant: str = "default", **headers: str) -> Client:
        origins = [ORIGIN] if role == "widget" else []
        return Client(self.http, self.keys.add(uuid.uuid4().hex, role, tenant, origins), **headers)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def service(trained_bot: object) -> Iterator[Service]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEEL_HOME", str(trained_bot))
        database = settings.database()
        queue = Queue(2)
        app, desks = api.application(
            database, lambda tenant: ready(database, tenant, 0.99), per_minute=10_000, queue=queue
        )
        desks.bot("default").warm()
        with TestClient(app, raise_server_exceptions=False) as http:
            yield Service(app, http, Keys(database))
        queue.close()
        database.close()


def feedback(service: Service, conversation: str) -> list[Feedback]:
    """What was said about a conversation, in order of kinds as they come."""
    order = ("vote", "edit", "correction")
    found = [one for one in FeedbackLog(service.keys.database).read() if one.subject == conversation]
    return sorted(found, key=lambda one: order.index(one.kind))


def test_a_conversation_from_question_to_agent_and_back(service: Service) -> None:
    shop, agent = service.client("server"), service.client("agent")
    status, begun = shop.post("/v1/conversations", customer="c-1", consent=True)
    assert (status, begun["side"]) == (201, "bot")
    here = f"/v1/conversations/{begun['id']}"
    status, said = shop.post(f"{here}/messages", text="what is fee F-24?")
    assert status == 200
    assert [one["role"] for one in said["turns"]] == ["customer", "bot"]
    assert said["turns"][1]["answer"]["citations"]
    assert shop.post(f"{here}/feedback", good=True) == (200, {"turn": 2})
    assert shop.post(f"{here}/human")[1]["side"] == "waiting"

    (waiting,) = [one for one in agent.get("/v1/inbox")[1] if one["id"] == begun["id"]]  # type: ignore[attr-defined]
    assert waiting["summary"]["questions"] == ["what is fee F-24?"]
    assert waiting["summary"]["tried"]
    assert agent.post(f"/v1/inbox/{begun['id']}/messages", agent="Ana", text="Hi")[0] == 409
    assert agent.post(f"/v1/inbox/{begun['id']}/take", agent="Ana")[1]["side"] == "agent"
    assert agent.post(f"/v1/inbox/{begun['id']}/take", agent="Bo")[0] == 409
    at = f"/v1/inbox/{begun['id']}/messages"
    assert agent.post(at, agent="Ana", text="It is 15 euro", instead_of=1)[0] == 422
    assert agent.post(at, agent="Ana", text="It is 15 euro", instead_of=2, intent="fees")[0] == 200
    told = feedback(service, begun["id"])
    assert [(one.kind, one.consent, one.model.partition("@")[0]) for one in told] == [
        ("vote", True, "support-bot"),
        ("edit", True, "support-bot"),
        ("correction", True, "support-intents"),
    ]
    assert agent.post(at, agent="Ana", text="Hello there")[0] == 200
    turns = shop.get(here)[1]["turns"]  # type: ignore[index]
    assert (turns[-1]["role"], turns[-1]["text"]) == ("agent", "Hello there")
    assert agent.post(f"/v1/inbox/{begun['id']}/give_back", agent="Ana")[1]["side"] == "bot"
    assert shop.post(f"{here}/close")[1]["side"] == "closed"
    status, problem = shop.post(f"{here}/messages", text="more?")
    assert (status, problem["status"]) == (409, 409)
    assert service.http.delete("/v1/customers/c-1", headers=shop.headers).json() == {"conversations": 1}
    assert shop.get(here)[0] == 404
    assert feedback(service, begun["id"]) == []


def test_a_vote_names_its_answer(service: Service) -> None:
    shop = service.client("server")
    id = shop.post("/v1/conversations")[1]["id"]
    for text in ("what is fee F-24?", "thanks!"):
        shop.post(f"/v1/conversations/{id}/messages", text=text)
    assert shop.post(f"/v1/conversations/{id}/feedback", good=False, turn=2) == (200, {"turn": 2})
    assert [one.text for one in feedback(service, id)] == ["what is fee F-24?"]
    assert shop.post(f"/v1/conversations/{id}/feedback", good=False, turn=1)[0] == 422


def test_what_is_stored_of_anyone_can_be_erased(service: Service) -> None:
    widget, shop = service.client("widget", Origin=ORIGIN), service.client("server")
    visitor = widget.post("/v1/conversations")[1]["id"]
    widget.post(f"/v1/conversations/{visitor}/messages", text="what is fee F-24?")
    widget.post(f"/v1/conversations/{visitor}/feedback", good=True)
    at = f"/v1/conversations/{visitor}"
    assert service.http.delete(at, headers=widget.headers).status_code == 403
    assert service.http.delete(at, headers=service.client("server", "other").headers).status_code == 404
    assert service.http.delete(at, headers=shop.headers).json() == {"conversations": 1}
    assert service.http.delete(at, headers=shop.headers).status_code == 404
    assert feedback(service, visitor) == []

    shop.post("/v1/conversations", customer="acme/4711")
    erased = service.http.delete("/v1/customers/acme%2F4711", headers=shop.headers)
    assert erased.json() == {"conversations": 1}
    assert shop.post("/v1/conversations", customer="a\nb")[0] == 422, "no path could name them"


def test_tenants_never_see_each_other(service: Service) -> None:
    ours, theirs = service.client("server"), service.client("server", "other")
    id = ours.post("/v1/conversations")[1]["id"]
    assert theirs.get(f"/v1/conversations/{id}")[0] == 404
    assert theirs.post(f"/v1/conversations/{id}/human")[0] == 404
    status, problem = theirs.post("/v1/chat/completions", messages=[{"role": "user", "content": "F-24?"}])
    assert (status, "no articles" in problem["detail"]) == (409, True)
    ours.post(f"/v1/conversations/{id}/human")
    assert theirs.get("/v1/inbox")[1] == []


@pytest.mark.parametrize(
    ("headers", "status"), [({}, 403), ({"Origin": "https://evil.example"}, 403), ({"Origin": ORIGIN}, 201)]
)
def test_a_widgets_key_works_in_its_pages_alone(service: Service, headers: dict[str, str], status: int) -> None:
    widget = service.client("widget", **headers)
    assert widget.post("/v1/conversations")[0] == status


def test_a_widget_may_converse_and_nothing_else(service: Service) -> None:
    widget = service.client("widget", Origin=ORIGIN)
    assert widget.get("/v1/inbox")[0] == 403
    assert widget.post("/v1/chat/completions", messages=[{"role": "user", "content": "hi"}])[0] == 403
    id = widget.post("/v1/conversations", customer="somebody-else")[1]["id"]
    shop = service.client("server")
    assert service.http.delete("/v1/customers/somebody-else", headers=shop.headers).json() == {"conversations": 0}
    assert widget.post(f"/v1/conversations/{id}/messages", text="thanks!")[0] == 200
    preflight = service.http.options(
        "/v1/conversations",
        headers={"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
        | {"Access-Control-Request-Headers": "authorization,content-type"},
    )
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "*"


def test_faults_are_problems_and_name_the_field(service: Service) -> None:
    nobody = Client(service.http, "keel_server_wrong")
    status, problem = nobody.post("/v1/conversations")
    assert (status, problem["title"]) == (401, "Unauthorized")
    shop = service.client("server")
    assert shop.get("/v1/conversations/nonsense")[0] == 422
    id = shop.post("/v1/conversations")[1]["id"]
    answer = service.http.post(f"/v1/conversations/{id}/messages", json={}, headers=shop.headers)
    assert answer.headers["content-type"] == "application/problem+json"
    assert "body.text" in answer.json()["detail"]
    assert shop.post(f"/v1/conversations/{id}/feedback", good=True)[0] == 422
    big = service.http.post("/v1/conversations", content=b"x" * 1_100_000, headers=shop.headers)
    assert big.status_code == 413
    assert service.http.get("/nowhere").json()["status"] == 404


def test_openai_clients_get_answers_with_citations_whole_and_streamed(service: Service) -> None:
    shop = service.client("server")
    messages = [{"role": "system", "content": "Say only yes."}, {"role": "user", "content": "what is fee F-24?"}]
    status, whole = shop.post("/v1/chat/completions", model="any", messages=messages, temperature=0.3)
    assert status == 200
    message = whole["choices"][0]["message"]
    assert message["citations"][0]["quote"] in message["content"]
    body = {"messages": messages, "stream": True}
    with service.http.stream("POST", "/v1/chat/completions", json=body, headers=shop.headers) as answer:
        events = [line.removeprefix("data: ") for line in answer.iter_lines() if line]
    assert events[-1] == "[DONE]"
    deltas = [json.loads(event)["choices"][0]["delta"] for event in events[:-1]]
    assert "".join(delta.get("content", "") for delta in deltas) == message["content"]
    assert deltas[-1]["citations"] == message["citations"]
    assert shop.post("/v1/chat/completions", messages=[{"role": "assistant", "content": "x"}])[0] == 422
    assert shop.get("/v1/models")[0] == 200


def test_a_stream_is_refused_whole_or_comes_whole(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    shop, queue = service.client("server"), service.app.state.service.queue
    body = {"messages": [{"role": "user", "content": "what is fee F-24?"}], "stream": True}
    run = queue.run

    async def run_and_fill(call: Callable[[], object]) -> object:
        found = await run(call)
        queue.busy = queue.places
        return found

    with monkeypatch.context() as patch:
        patch.setattr(queue, "run", run_and_fill)
        whole = service.http.post("/v1/chat/completions", json=body, headers=shop.headers)
    assert (whole.status_code, whole.text[-14:]) == (200, "data: [DONE]\n\n")
    with monkeypatch.context() as patch:
        patch.setattr(queue, "busy", queue.places)
        refused = service.http.post("/v1/chat/completions", json=body, headers=shop.headers)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    without = service.client("server", "other")
    assert service.http.post("/v1/chat/completions", json=body, headers=without.headers).status_code == 409


def test_openai_clients_are_told_that_a_person_is_wished_for_and_promised_none(service: Service) -> None:
    shop, agent = service.client("server"), service.client("agent")
    before = agent.get("/v1/inbox")
    messages = [{"role": "user", "content": "I want to talk to a human"}]
    message = shop.post("/v1/chat/completions", messages=messages)[1]["choices"][0]["message"]
    assert (message["keel"]["kind"], message["content"]) == ("handoff", ALONE["en"]["handed_over"])
    body = {"messages": messages, "stream": True}
    streamed = service.http.post("/v1/chat/completions", json=body, headers=shop.headers).text
    assert '"kind": "handoff"' in streamed
    assert "cannot " in streamed
    assert agent.get("/v1/inbox") == before


def test_health_and_the_widget_need_no_key(service: Service) -> None:
    assert service.http.get("/healthz").json() == {"status": "ok"}
    page = service.http.get("/metrics", headers=service.client("agent").headers).text
    assert 'keel_requests_total{method="GET",route="/healthz",status="200"}' in page
    assert "customElements.define" in service.http.get("/widget.js").text


def test_no_input_makes_the_service_fail(service: Service) -> None:
    shop, asked = service.client("server"), set()
    schema = schemathesis.openapi.from_asgi("/openapi.json", service.app)
    for found in schema.get_all_operations():
        operation = found.ok()

        @hypothesis_settings(max_examples=12, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def probe(case: schemathesis.Case) -> None:
            if len(str(case.path_parameters.get("id"))) == 32:
                case.path_parameters["id"] = shop.post("/v1/conversations")[1]["id"]  # one that there is
            answer = case.call(headers=shop.headers)
            asked.add(case.operation.label)
            assert answer.status_code < 500, answer.text

        probe()
    assert len(asked) >= 15
