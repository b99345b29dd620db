-- SPDX-License-Identifier: Apache-2.0
--
-- Wireshark dissector for what DOVE puts on the underlay: our option in the
-- Geneve header (maps/wire.h). What surrounds it is Wireshark's own Geneve.
--
--     tshark -X lua_script:tools/wireshark/dove.lua -r FILE -Y dove -O dove
--     wireshark -X lua_script:tools/wireshark/dove.lua FILE
--
-- Or copy it into one of the folders for Lua plugins that Help -> About -> Folders names.

local GENEVE_PORT = 6081
local GENEVE_HEADER = 8
local CRITICAL = 0x40 -- C in the header's flags
local OPT_CLASS = 0xff01
local OPT_TYPE = 0x81
local OPT_HEADER = 4
local OPT_BODY = 16

local dove = Proto("dove", "DOVE")

local f = {
	vnid = ProtoField.uint24("dove.vnid", "Destination's network", base.DEC, nil, nil, "VNID: Geneve's VNI"),
	policy = ProtoField.uint32("dove.policy", "Policy", base.DEC, nil, nil, "Id of the policy that let it pass"),
	sequence = ProtoField.uint32("dove.sequence", "Sequence", base.DEC, nil, nil,
		"Low 32 bits of the revision that the translation was made at"),
	source = ProtoField.uint32("dove.source", "Source endpoint", base.DEC, nil, nil, "Endpoint id of the sender"),
	stage = ProtoField.uint8("dove.stage", "Stage", base.DEC, nil, 0xf0, "Service hops still ahead"),
	flags = ProtoField.uint8("dove.flags", "Flags", base.HEX, nil, 0x0f),
	relayed = ProtoField.uint8("dove.flags.relayed", "Relayed", base.DEC, nil, 0x03,
		"How often an old host sent it on, at most 2"),
	reverse = ProtoField.bool("dove.flags.reverse", "Reverse", 8, nil, 0x01,
		"With services ahead: a reply, on the path back"),
	returned = ProtoField.bool("dove.flags.returned", "Returned", 8, nil, 0x04, "Given back to its origin"),
	track = ProtoField.bool("dove.flags.track", "Track", 8, nil, 0x08, "Remember the flow: replies to it pass"),
	source_vnid = ProtoField.uint24("dove.source_vnid", "Source's network", base.DEC, nil, nil,
		"VNID of the sender"),
}
dove.fields = f

local e = {
	length = ProtoExpert.new("dove.malformed", "Not as long as our option is", expert.group.MALFORMED,
		expert.severity.ERROR),
	critical = ProtoExpert.new("dove.not_critical", "Critical, but the header's C bit is not set",
		expert.group.PROTOCOL, expert.severity.WARN),
	relayed = ProtoExpert.new("dove.flags.relayed.many", "Relayed more often than is allowed",
		expert.group.PROTOCOL, expert.severity.WARN),
}
dove.experts = e

-- Our option in a Geneve header, and whether it has the length that it must have; or nil.
local function find(tvb)
	if tvb:len() < GENEVE_HEADER then
		return nil
	end
	local at = GENEVE_HEADER
	local stop = math.min(at + bit.band(tvb(0, 1):uint(), 0x3f) * 4, tvb:len())
	while at + OPT_HEADER <= stop do
		local body = bit.band(tvb(at + 3, 1):uint(), 0x1f) * 4
		if tvb(at, 2):uint() == OPT_CLASS and tvb(at + 2, 1):uint() == OPT_TYPE then
			local len = math.min(OPT_HEADER + body, stop - at)
			return tvb(at, len), body == OPT_BODY and len == OPT_HEADER + OPT_BODY
		end
		at = at + OPT_HEADER + body
	end
	return nil
end

local function show(tvb, tree)
	local option, whole = find(tvb)
	if not option then
		return
	end
	local t = tree:add(dove, option)
	t:add(f.vnid, tvb(4, 3))
	if bit.band(tvb(1, 1):uint(), CRITICAL) == 0 then
		t:add_proto_expert_info(e.critical)
	end
	if not whole then
		t:add_proto_expert_info(e.length)
		return
	end
	local bits = option(16, 1)
	t:add(f.policy, option(4, 4))
	t:add(f.sequence, option(8, 4))
	t:add(f.source, option(12, 4))
	t:add(f.stage, bits)
	local flags = t:add(f.flags, bits)
	local ahead = bit.band(bits:uint(), 0xf0) > 0
	local relayed = flags:add(ahead and f.reverse or f.relayed, bits)
	flags:add(f.returned, bits)
	flags:add(f.track, bits)
	t:add(f.source_vnid, option(17, 3))
	if not ahead and bit.band(bits:uint(), 0x03) > 2 then
		relayed:add_proto_expert_info(e.relayed)
	end
	t:append_text(string.format(": policy %u, sequence %u, endpoint %u of %u -> network %u", option(4, 4):uint(),
		option(8, 4):uint(), option(12, 4):uint(), option(17, 3):uint(), tvb(4, 3):uint()))
end

-- In Geneve's place: what is ours, and then Geneve as before.
local ports = DissectorTable.get("udp.port")
local geneve = ports:get_dissector(GENEVE_PORT)

function dove.dissector(tvb, pinfo, tree)
	show(tvb, tree)
	return geneve:call(tvb, pinfo, tree)
end

ports:add(GENEVE_PORT, dove)
