package interop;

import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import software.amazon.awssdk.protocols.jsoncore.JsonNode;

/** One command of the other side. */
record Command(JsonNode json) {
    String text(String name) {
        return optional(name).orElseThrow(() -> new IllegalArgumentException("no " + name));
    }

    Optional<String> optional(String name) {
        return json.field(name).filter(value -> !value.isNull()).map(JsonNode::asString);
    }

    boolean flag(String name) {
        return json.field(name).orElseThrow().asBoolean();
    }

    int number(String name) {
        return Integer.parseInt(json.field(name).orElseThrow().asNumber());
    }

    Map<String, String> map(String name) {
        Map<String, String> map = new TreeMap<>();
        json.field(name)
                .orElseThrow()
                .asObject()
                .forEach((key, value) -> map.put(key, value.asString()));
        return map;
    }

    Command inner(String name) {
        return new Command(json.field(name).orElseThrow());
    }
}
